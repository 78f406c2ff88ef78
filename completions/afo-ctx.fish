complete -c afo-ctx -l ruleset -d 'Put the rules of FILE into the record instead of the kernel\'s: nft JSON, nft text, iptables-save, what the API of OPNsense replies, or a document or commands of AWS, Azure, GCP or pfSense' -r -F
complete -c afo-ctx -l format -d 'Put out records or readable text [default: text on a terminal, else json]' -r -f -a "json\t''
text\t''"
complete -c afo-ctx -l config -d 'Read the configuration from FILE' -r -F
complete -c afo-ctx -l state -d 'Keep the state in FILE [env: AFO_STATE] [default: /var/lib/afo/state.db, or the user\'s state directory]' -r -F
complete -c afo-ctx -l log-format -d 'Write what is said on stderr as text or as JSON lines [default: the configuration\'s, else text]' -r -f -a "text\t''
json\t''"
complete -c afo-ctx -l no-ruleset -d 'Leave the rules out and start no process'
complete -c afo-ctx -l rules -d 'Put out the rules of the ruleset as one proposal instead'
complete -c afo-ctx -l json -d 'Put out records even on a terminal'
complete -c afo-ctx -s v -l verbose -d 'Say more on stderr; twice for still more'
complete -c afo-ctx -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c afo-ctx -s h -l help -d 'Print help (see more with \'--help\')'
complete -c afo-ctx -s V -l version -d 'Print version'
