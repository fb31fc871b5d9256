internal import CLinux

/// Ends the process with a status of 0 to 255, running what the C library runs at exit.
public func exitProcess(_ status: Int32) -> Never { exit(status) }
