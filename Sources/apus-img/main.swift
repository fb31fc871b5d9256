// The image tool's process: qemu-img's command line in, its exit status out.

import ImageTool

ImageProgram.main(CommandLine.arguments)
