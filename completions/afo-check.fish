complete -c afo-check -l backend -d 'The firewall that is to take the rules: nftables, iptables, ip6tables, opnsense, or the NAME of a program afo-backend-NAME' -r
complete -c afo-check -l against -d 'Check against the live ruleset, one of the firewall\'s own text in a file, or an empty host: live, FILE or none' -r
complete -c afo-check -l invariants -d 'Hold the ruleset, as it will be after each proposal, to the invariants of FILE (see afo-sim invariants)' -r -F
complete -c afo-check -l steps -l budget -d 'End the search for one invariant after N steps: what is not found by then is undecided, and an error' -r
complete -c afo-check -l raw -d 'Read a backend\'s own text instead of records' -r -f -a "nftables\t'nft\'s text, as for `nft -f`'
iptables\t'iptables-save\'s and ip6tables-save\'s text; always against the live ruleset'"
complete -c afo-check -l format -d 'Put out records or readable text [default: text on a terminal, else json]' -r -f -a "json\t''
text\t''"
complete -c afo-check -l config -d 'Read the configuration from FILE' -r -F
complete -c afo-check -l state -d 'Keep the state in FILE [env: AFO_STATE] [default: /var/lib/afo/state.db, or the user\'s state directory]' -r -F
complete -c afo-check -l log-format -d 'Write what is said on stderr as text or as JSON lines [default: the configuration\'s, else text]' -r -f -a "text\t''
json\t''"
complete -c afo-check -l rehearse -d 'Load the live ruleset and the change into a network namespace that is thrown away'
complete -c afo-check -l json -d 'Put out records even on a terminal'
complete -c afo-check -s v -l verbose -d 'Say more on stderr; twice for still more'
complete -c afo-check -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c afo-check -s h -l help -d 'Print help (see more with \'--help\')'
complete -c afo-check -s V -l version -d 'Print version'
