// The machine's process: QEMU's command line in, a machine run to its end. Under the name virt-host-validate it looks
// at the host instead.

import HostCheck
import HostOS
import MachineControl

let arguments = CommandLine.arguments
if arguments.first?.split(separator: "/").last == Substring(HostCheckProgram.name) {
    exitProcess(HostCheckProgram.run(Array(arguments.dropFirst())))
}
exitProcess(MachineProgram.run(arguments))
