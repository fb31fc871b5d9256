// Everything of Apus for people: the daemon, networks, and `virsh`, under that name or as commands of its own.

import Daemon
import HostOS
import NetworkSwitch
import VirshTool

let program = CommandLine.arguments.first?.split(separator: "/").last.map(String.init) ?? "apus"
let arguments = Array(CommandLine.arguments.dropFirst())
if program == "virsh" { exitProcess(VirshProgram.run(arguments)) }
// Under the names by which libvirt's clients start a user's daemon.
if program == "libvirtd" || program == "virtqemud" { exitProcess(DaemonProgram.run(arguments)) }
switch arguments.first {
case "daemon":
    exitProcess(DaemonProgram.run(Array(arguments.dropFirst())))
case "network":
    exitProcess(NetworkProgram.run(Array(arguments.dropFirst())))
case "keep-logs":
    exitProcess(LogKeeper.run(Array(arguments.dropFirst())))
case "fork":
    exitProcess(ForkProgram.run(Array(arguments.dropFirst())))
case "ssh":
    exitProcess(SSHProgram.run(Array(arguments.dropFirst()), others: MachineAddresses.find))
case "image":
    exitProcess(Siblings.become("apus-img", as: "apus-img", Array(arguments.dropFirst())))
case "host" where arguments.dropFirst().first == "check":
    exitProcess(Siblings.become("apus-vmm", as: "virt-host-validate", Array(arguments.dropFirst(2))))
case "virsh":
    exitProcess(VirshProgram.run(Array(arguments.dropFirst())))
case "version" where arguments.count == 1, "--version":
    print("apus 0.1")
    exitProcess(0)
case let word? where VirshProgram.takes(word):
    exitProcess(VirshProgram.run(arguments, program: "apus"))
default:
    print(
        """
        usage: apus COMMAND [options]

        Machines    apus list [--all], start NAME, shutdown NAME, destroy NAME, console NAME, …
                    Commands, options and output are virsh's: 'apus help' lists them, 'apus help COMMAND' tells more.
                    'apus -c URI COMMAND' asks another daemon than the user's own.
        Programs    apus daemon       serves libvirt's clients
                    apus fork         copies of a running machine
                    apus host check   whether this host is ready for machines
                    apus image        disk images: qemu-img's commands
                    apus network      a virtual network
                    apus ssh          a shell in a machine, by its name
                    apus virsh        all of virsh, with its prompt

        'apus daemon --help' and the like tell more.
        """)
    exitProcess(arguments.isEmpty || arguments.first == "--help" ? 0 : 2)
}
