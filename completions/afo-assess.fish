complete -c afo-assess -l detections -d 'Read thresholds, windows and weights from FILE; what it leaves out keeps the shipped value' -r -F
complete -c afo-assess -l format -d 'Put out records or readable text [default: text on a terminal, else json]' -r -f -a "json\t''
text\t''"
complete -c afo-assess -l config -d 'Read the configuration from FILE' -r -F
complete -c afo-assess -l state -d 'Keep the state in FILE [env: AFO_STATE] [default: /var/lib/afo/state.db, or the user\'s state directory]' -r -F
complete -c afo-assess -l log-format -d 'Write what is said on stderr as text or as JSON lines [default: the configuration\'s, else text]' -r -f -a "text\t''
json\t''"
complete -c afo-assess -l print-detections -d 'Print the shipped thresholds, windows and weights, and end'
complete -c afo-assess -l json -d 'Put out records even on a terminal'
complete -c afo-assess -s v -l verbose -d 'Say more on stderr; twice for still more'
complete -c afo-assess -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c afo-assess -s h -l help -d 'Print help (see more with \'--help\')'
complete -c afo-assess -s V -l version -d 'Print version'
