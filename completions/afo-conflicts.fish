complete -c afo-conflicts -l ruleset -d 'Look at the kernel\'s rules, or at those of FILE: nft JSON, nft text, or iptables-save (with ip6tables-save and ipset save, one after the other)' -r -F
complete -c afo-conflicts -l steps -l budget -d 'End the search for one rule after N steps: what is not found by then is undecided' -r
complete -c afo-conflicts -l fail-on -d 'Exit 1 on these alone, instead of on what stops a deployment' -r
complete -c afo-conflicts -l format -d 'Put out records or readable text [default: text on a terminal, else json]' -r -f -a "json\t''
text\t''"
complete -c afo-conflicts -l config -d 'Read the configuration from FILE' -r -F
complete -c afo-conflicts -l state -d 'Keep the state in FILE [env: AFO_STATE] [default: /var/lib/afo/state.db, or the user\'s state directory]' -r -F
complete -c afo-conflicts -l log-format -d 'Write what is said on stderr as text or as JSON lines [default: the configuration\'s, else text]' -r -f -a "text\t''
json\t''"
complete -c afo-conflicts -l audit -d 'Read no proposals; report every anomaly inside the ruleset'
complete -c afo-conflicts -l json -d 'Put out records even on a terminal'
complete -c afo-conflicts -s v -l verbose -d 'Say more on stderr; twice for still more'
complete -c afo-conflicts -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c afo-conflicts -s h -l help -d 'Print help (see more with \'--help\')'
complete -c afo-conflicts -s V -l version -d 'Print version'
