// The machine's process: QEMU's command line in, a machine run to its end.

import HostOS
import MachineControl

exitProcess(MachineProgram.run(CommandLine.arguments))
