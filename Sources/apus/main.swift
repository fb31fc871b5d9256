// Everything of Apus for people: the daemon, and later the clients and tools.

import Daemon
import HostOS
import NetworkSwitch

let arguments = Array(CommandLine.arguments.dropFirst())
switch arguments.first {
case "daemon":
    exitProcess(DaemonProgram.run(Array(arguments.dropFirst())))
case "network":
    exitProcess(NetworkProgram.run(Array(arguments.dropFirst())))
case "fork":
    exitProcess(ForkProgram.run(Array(arguments.dropFirst())))
case "ssh":
    exitProcess(SSHProgram.run(Array(arguments.dropFirst())))
case "version", "--version":
    print("apus 0.1")
    exitProcess(0)
default:
    print(
        "usage: apus daemon [options]\n       apus fork NAME\n"
            + "       apus network COMMAND [options]\n       apus ssh [USER@]MACHINE\n\n"
            + "'apus COMMAND --help' tells more.")
    exitProcess(arguments.isEmpty || arguments.first == "--help" ? 0 : 2)
}
