// The machine's process: QEMU's command line in, a machine run to its end.

import MachineControl

#if canImport(Glibc)
    import Glibc
#endif

exit(MachineProgram.run(CommandLine.arguments))
