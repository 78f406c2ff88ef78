complete -c afo-gen -l context -d 'Read the context from FILE instead of from the kernel and the configuration' -r -F
complete -c afo-gen -l answer -d 'Answer the question ID with its option CHOICE (repeatable)' -r
complete -c afo-gen -l provider -d 'Understand requests with NAME; `grammar` is built in' -r
complete -c afo-gen -l format -d 'Put out records or readable text [default: text on a terminal, else json]' -r -f -a "json\t''
text\t''"
complete -c afo-gen -l config -d 'Read the configuration from FILE' -r -F
complete -c afo-gen -l state -d 'Keep the state in FILE [env: AFO_STATE] [default: /var/lib/afo/state.db, or the user\'s state directory]' -r -F
complete -c afo-gen -l log-format -d 'Write what is said on stderr as text or as JSON lines [default: the configuration\'s, else text]' -r -f -a "text\t''
json\t''"
complete -c afo-gen -l explain -d 'Say in English what the rules of proposals on stdin do'
complete -c afo-gen -l json -d 'Put out records even on a terminal'
complete -c afo-gen -s v -l verbose -d 'Say more on stderr; twice for still more'
complete -c afo-gen -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c afo-gen -s h -l help -d 'Print help (see more with \'--help\')'
complete -c afo-gen -s V -l version -d 'Print version'
