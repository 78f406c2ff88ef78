complete -c afo-watch -l source -d 'Read SPEC: auth:PATH, fw:PATH, feed:FILE or -; repeatable [default: those of the configuration]' -r
complete -c afo-watch -l as -d 'What standard input is' -r -f -a "auth\t'An authentication log: sshd, sudo, su, PAM'
fw\t'The kernel\'s packet log: nftables, iptables, ufw'
feed\t'A list of bad addresses'"
complete -c afo-watch -l from -d 'Where to begin [default: cursor; with --once start]' -r -f -a "start\t'At the beginning of the file'
end\t'Behind what is there'
cursor\t'Where the last run stopped, else behind what is there'"
complete -c afo-watch -l time-zone -d 'The time zone of logs that name none [default: the system\'s]' -r
complete -c afo-watch -l ready -d 'Make FILE when every source is watched: no line that is written from then on is missed' -r -F
complete -c afo-watch -l format -d 'Put out records or readable text [default: text on a terminal, else json]' -r -f -a "json\t''
text\t''"
complete -c afo-watch -l config -d 'Read the configuration from FILE' -r -F
complete -c afo-watch -l state -d 'Keep the state in FILE [env: AFO_STATE] [default: /var/lib/afo/state.db, or the user\'s state directory]' -r -F
complete -c afo-watch -l log-format -d 'Write what is said on stderr as text or as JSON lines [default: the configuration\'s, else text]' -r -f -a "text\t''
json\t''"
complete -c afo-watch -l follow -d 'Wait for more at the end (the default)'
complete -c afo-watch -l once -d 'Stop at the end of what is there'
complete -c afo-watch -l json -d 'Put out records even on a terminal'
complete -c afo-watch -s v -l verbose -d 'Say more on stderr; twice for still more'
complete -c afo-watch -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c afo-watch -s h -l help -d 'Print help (see more with \'--help\')'
complete -c afo-watch -s V -l version -d 'Print version'
