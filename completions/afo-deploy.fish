# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_afo_deploy_global_optspecs
    string join \n json format= config= state= v/verbose q/quiet log-format= confirm= autonomy= n/dry-run backend= placement= allow-lockout= h/help V/version
end

function __fish_afo_deploy_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_afo_deploy_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_afo_deploy_using_subcommand
    set -l cmd (__fish_afo_deploy_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c afo-deploy -n "__fish_afo_deploy_needs_command" -l format -d 'Put out records or readable text [default: text on a terminal, else json]' -r -f -a "json\t''
text\t''"
complete -c afo-deploy -n "__fish_afo_deploy_needs_command" -l config -d 'Read the configuration from FILE' -r -F
complete -c afo-deploy -n "__fish_afo_deploy_needs_command" -l state -d 'Keep the state in FILE [env: AFO_STATE] [default: /var/lib/afo/state.db, or the user\'s state directory]' -r -F
complete -c afo-deploy -n "__fish_afo_deploy_needs_command" -l log-format -d 'Write what is said on stderr as text or as JSON lines [default: the configuration\'s, else text]' -r -f -a "text\t''
json\t''"
complete -c afo-deploy -n "__fish_afo_deploy_needs_command" -l confirm -d 'Take the change back unless confirmed in time [default: 30]' -r
complete -c afo-deploy -n "__fish_afo_deploy_needs_command" -l autonomy -d 'What is done without a person: alert, propose or auto' -r
complete -c afo-deploy -n "__fish_afo_deploy_needs_command" -l backend -d 'The packet filter to write for [default: where the rules are, else deploy.backend]' -r -f -a "nftables\t''
iptables\t''
ip6tables\t''
opnsense\t''
auto\t''"
complete -c afo-deploy -n "__fish_afo_deploy_needs_command" -l placement -d 'Where allows are made true: own, or foreign chains too [default: deploy.placement]' -r
complete -c afo-deploy -n "__fish_afo_deploy_needs_command" -l allow-lockout -d 'Allow the rule ID to cut off an administrator\'s connection' -r
complete -c afo-deploy -n "__fish_afo_deploy_needs_command" -l json -d 'Put out records even on a terminal'
complete -c afo-deploy -n "__fish_afo_deploy_needs_command" -s v -l verbose -d 'Say more on stderr; twice for still more'
complete -c afo-deploy -n "__fish_afo_deploy_needs_command" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c afo-deploy -n "__fish_afo_deploy_needs_command" -s n -l dry-run -d 'Print the text to be loaded and to be put back, change nothing'
complete -c afo-deploy -n "__fish_afo_deploy_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c afo-deploy -n "__fish_afo_deploy_needs_command" -s V -l version -d 'Print version'
complete -c afo-deploy -n "__fish_afo_deploy_needs_command" -f -a "confirm" -d 'Keep a change for good'
complete -c afo-deploy -n "__fish_afo_deploy_needs_command" -f -a "rollback" -d 'Take a change back'
complete -c afo-deploy -n "__fish_afo_deploy_needs_command" -f -a "status" -d 'Show what waits for confirmation and what is in the kernel'
complete -c afo-deploy -n "__fish_afo_deploy_needs_command" -f -a "list" -d 'List rules and blocks with counters, time left and reason'
complete -c afo-deploy -n "__fish_afo_deploy_needs_command" -f -a "recover" -d 'Bring kernel and state together after a crash, a reboot or a flush'
complete -c afo-deploy -n "__fish_afo_deploy_needs_command" -f -a "expire" -d 'End blocks and rules that have had their time'
complete -c afo-deploy -n "__fish_afo_deploy_needs_command" -f -a "unblock" -d 'End the block of an address or network'
complete -c afo-deploy -n "__fish_afo_deploy_needs_command" -f -a "flush-afo" -d 'Remove all of AFO from the kernel, the panic button'
complete -c afo-deploy -n "__fish_afo_deploy_needs_command" -f -a "guard" -d 'Watch the kernel and put back what another program removes'
complete -c afo-deploy -n "__fish_afo_deploy_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand confirm" -l format -d 'Put out records or readable text [default: text on a terminal, else json]' -r -f -a "json\t''
text\t''"
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand confirm" -l config -d 'Read the configuration from FILE' -r -F
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand confirm" -l state -d 'Keep the state in FILE [env: AFO_STATE] [default: /var/lib/afo/state.db, or the user\'s state directory]' -r -F
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand confirm" -l log-format -d 'Write what is said on stderr as text or as JSON lines [default: the configuration\'s, else text]' -r -f -a "text\t''
json\t''"
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand confirm" -l json -d 'Put out records even on a terminal'
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand confirm" -s v -l verbose -d 'Say more on stderr; twice for still more'
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand confirm" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand confirm" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand rollback" -l format -d 'Put out records or readable text [default: text on a terminal, else json]' -r -f -a "json\t''
text\t''"
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand rollback" -l config -d 'Read the configuration from FILE' -r -F
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand rollback" -l state -d 'Keep the state in FILE [env: AFO_STATE] [default: /var/lib/afo/state.db, or the user\'s state directory]' -r -F
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand rollback" -l log-format -d 'Write what is said on stderr as text or as JSON lines [default: the configuration\'s, else text]' -r -f -a "text\t''
json\t''"
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand rollback" -l json -d 'Put out records even on a terminal'
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand rollback" -s v -l verbose -d 'Say more on stderr; twice for still more'
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand rollback" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand rollback" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand status" -l format -d 'Put out records or readable text [default: text on a terminal, else json]' -r -f -a "json\t''
text\t''"
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand status" -l config -d 'Read the configuration from FILE' -r -F
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand status" -l state -d 'Keep the state in FILE [env: AFO_STATE] [default: /var/lib/afo/state.db, or the user\'s state directory]' -r -F
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand status" -l log-format -d 'Write what is said on stderr as text or as JSON lines [default: the configuration\'s, else text]' -r -f -a "text\t''
json\t''"
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand status" -l json -d 'Put out records even on a terminal'
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand status" -s v -l verbose -d 'Say more on stderr; twice for still more'
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand status" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand list" -l format -d 'Put out records or readable text [default: text on a terminal, else json]' -r -f -a "json\t''
text\t''"
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand list" -l config -d 'Read the configuration from FILE' -r -F
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand list" -l state -d 'Keep the state in FILE [env: AFO_STATE] [default: /var/lib/afo/state.db, or the user\'s state directory]' -r -F
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand list" -l log-format -d 'Write what is said on stderr as text or as JSON lines [default: the configuration\'s, else text]' -r -f -a "text\t''
json\t''"
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand list" -l json -d 'Put out records even on a terminal'
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand list" -s v -l verbose -d 'Say more on stderr; twice for still more'
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand list" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand recover" -l format -d 'Put out records or readable text [default: text on a terminal, else json]' -r -f -a "json\t''
text\t''"
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand recover" -l config -d 'Read the configuration from FILE' -r -F
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand recover" -l state -d 'Keep the state in FILE [env: AFO_STATE] [default: /var/lib/afo/state.db, or the user\'s state directory]' -r -F
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand recover" -l log-format -d 'Write what is said on stderr as text or as JSON lines [default: the configuration\'s, else text]' -r -f -a "text\t''
json\t''"
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand recover" -l json -d 'Put out records even on a terminal'
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand recover" -s v -l verbose -d 'Say more on stderr; twice for still more'
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand recover" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand recover" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand expire" -l format -d 'Put out records or readable text [default: text on a terminal, else json]' -r -f -a "json\t''
text\t''"
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand expire" -l config -d 'Read the configuration from FILE' -r -F
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand expire" -l state -d 'Keep the state in FILE [env: AFO_STATE] [default: /var/lib/afo/state.db, or the user\'s state directory]' -r -F
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand expire" -l log-format -d 'Write what is said on stderr as text or as JSON lines [default: the configuration\'s, else text]' -r -f -a "text\t''
json\t''"
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand expire" -l json -d 'Put out records even on a terminal'
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand expire" -s v -l verbose -d 'Say more on stderr; twice for still more'
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand expire" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand expire" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand unblock" -l format -d 'Put out records or readable text [default: text on a terminal, else json]' -r -f -a "json\t''
text\t''"
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand unblock" -l config -d 'Read the configuration from FILE' -r -F
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand unblock" -l state -d 'Keep the state in FILE [env: AFO_STATE] [default: /var/lib/afo/state.db, or the user\'s state directory]' -r -F
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand unblock" -l log-format -d 'Write what is said on stderr as text or as JSON lines [default: the configuration\'s, else text]' -r -f -a "text\t''
json\t''"
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand unblock" -l mistake -d 'It was blocked wrongly: do not count it as an offence'
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand unblock" -l json -d 'Put out records even on a terminal'
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand unblock" -s v -l verbose -d 'Say more on stderr; twice for still more'
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand unblock" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand unblock" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand flush-afo" -l format -d 'Put out records or readable text [default: text on a terminal, else json]' -r -f -a "json\t''
text\t''"
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand flush-afo" -l config -d 'Read the configuration from FILE' -r -F
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand flush-afo" -l state -d 'Keep the state in FILE [env: AFO_STATE] [default: /var/lib/afo/state.db, or the user\'s state directory]' -r -F
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand flush-afo" -l log-format -d 'Write what is said on stderr as text or as JSON lines [default: the configuration\'s, else text]' -r -f -a "text\t''
json\t''"
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand flush-afo" -l json -d 'Put out records even on a terminal'
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand flush-afo" -s v -l verbose -d 'Say more on stderr; twice for still more'
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand flush-afo" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand flush-afo" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand guard" -l format -d 'Put out records or readable text [default: text on a terminal, else json]' -r -f -a "json\t''
text\t''"
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand guard" -l config -d 'Read the configuration from FILE' -r -F
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand guard" -l state -d 'Keep the state in FILE [env: AFO_STATE] [default: /var/lib/afo/state.db, or the user\'s state directory]' -r -F
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand guard" -l log-format -d 'Write what is said on stderr as text or as JSON lines [default: the configuration\'s, else text]' -r -f -a "text\t''
json\t''"
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand guard" -l json -d 'Put out records even on a terminal'
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand guard" -s v -l verbose -d 'Say more on stderr; twice for still more'
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand guard" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand guard" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand help; and not __fish_seen_subcommand_from confirm rollback status list recover expire unblock flush-afo guard help" -f -a "confirm" -d 'Keep a change for good'
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand help; and not __fish_seen_subcommand_from confirm rollback status list recover expire unblock flush-afo guard help" -f -a "rollback" -d 'Take a change back'
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand help; and not __fish_seen_subcommand_from confirm rollback status list recover expire unblock flush-afo guard help" -f -a "status" -d 'Show what waits for confirmation and what is in the kernel'
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand help; and not __fish_seen_subcommand_from confirm rollback status list recover expire unblock flush-afo guard help" -f -a "list" -d 'List rules and blocks with counters, time left and reason'
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand help; and not __fish_seen_subcommand_from confirm rollback status list recover expire unblock flush-afo guard help" -f -a "recover" -d 'Bring kernel and state together after a crash, a reboot or a flush'
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand help; and not __fish_seen_subcommand_from confirm rollback status list recover expire unblock flush-afo guard help" -f -a "expire" -d 'End blocks and rules that have had their time'
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand help; and not __fish_seen_subcommand_from confirm rollback status list recover expire unblock flush-afo guard help" -f -a "unblock" -d 'End the block of an address or network'
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand help; and not __fish_seen_subcommand_from confirm rollback status list recover expire unblock flush-afo guard help" -f -a "flush-afo" -d 'Remove all of AFO from the kernel, the panic button'
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand help; and not __fish_seen_subcommand_from confirm rollback status list recover expire unblock flush-afo guard help" -f -a "guard" -d 'Watch the kernel and put back what another program removes'
complete -c afo-deploy -n "__fish_afo_deploy_using_subcommand help; and not __fish_seen_subcommand_from confirm rollback status list recover expire unblock flush-afo guard help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
