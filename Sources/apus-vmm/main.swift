// The machine's process: QEMU's command line in, a machine run to its end. Under the name virt-host-validate it looks
// at the host instead, which is what `apus host check` becomes.

import HostCheck
import HostOS
import MachineControl

let arguments = CommandLine.arguments
let name = arguments.first?.split(separator: "/").last.map(String.init)
if name == HostCheckProgram.name { exitProcess(HostCheckProgram.run(Array(arguments.dropFirst()))) }
exitProcess(MachineProgram.run(arguments))
