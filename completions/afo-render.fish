complete -c afo-render -l backend -d 'The firewall whose language is written: nftables, iptables, ip6tables, opnsense, aws, azure, gcp, pfsense, or the NAME of a program afo-backend-NAME' -r
complete -c afo-render -l to -d 'Print the rules in another form instead of records: `rules`, one line for each; or for AWS, Azure and GCP `commands`, a script for `sh` that makes them with aws, az or gcloud' -r -f -a "rules\t'One canonical line for each rule, which parses back'
commands\t'The commands of a cloud\'s program, all proposals in one'"
complete -c afo-render -l target -d 'Where the commands make the rules: for AWS the id or the name of a security group (default afo), for Azure RESOURCES/GROUP (afo/afo), for GCP NETWORK or PROJECT/NETWORK (default)' -r
complete -c afo-render -l format -d 'Put out records or readable text [default: text on a terminal, else json]' -r -f -a "json\t''
text\t''"
complete -c afo-render -l config -d 'Read the configuration from FILE' -r -F
complete -c afo-render -l state -d 'Keep the state in FILE [env: AFO_STATE] [default: /var/lib/afo/state.db, or the user\'s state directory]' -r -F
complete -c afo-render -l log-format -d 'Write what is said on stderr as text or as JSON lines [default: the configuration\'s, else text]' -r -f -a "text\t''
json\t''"
complete -c afo-render -l native -d 'Print the backend\'s text instead of records, for an empty host: all proposals in one, for `nft -f -` or `iptables-restore --noflush`'
complete -c afo-render -l json -d 'Put out records even on a terminal'
complete -c afo-render -s v -l verbose -d 'Say more on stderr; twice for still more'
complete -c afo-render -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c afo-render -s h -l help -d 'Print help (see more with \'--help\')'
complete -c afo-render -s V -l version -d 'Print version'
