// The machine's process: QEMU's command line in, a machine run to its end. Under the name virt-host-validate, and as
// `apus host check`, it looks at the host instead.

import HostCheck
import HostOS
import MachineControl

let arguments = CommandLine.arguments
let name = arguments.first?.split(separator: "/").last.map(String.init)
if name == HostCheckProgram.name { exitProcess(HostCheckProgram.run(Array(arguments.dropFirst()))) }
if name == "apus", arguments.dropFirst().prefix(2) == ["host", "check"] {
    exitProcess(HostCheckProgram.run(Array(arguments.dropFirst(3))))
}
exitProcess(MachineProgram.run(arguments))
