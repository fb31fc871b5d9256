// Rows of the table of commands: name, summary, options as `CommandOption` reads them, what runs it.

extension Command {
    static let itself: [Command] = [
        Command(
            "cd", "change the working folder",
            "dir=", Run.cd),
        Command(
            "echo", "print words, quoted if wanted",
            "shell xml split err *string str~string hi~string", Run.echo),
        Command(
            "exit", "leave",
            "", Run.exit),
        Command(
            "help", "this help",
            "command=", Run.help),
        Command(
            "pwd", "print the working folder",
            "", Run.pwd),
        Command(
            "quit", "leave",
            "", Run.quit),
        Command(
            "connect", "connect to another daemon",
            "name= readonly", Run.connect),
        Command("?", "help", "command=", isHidden: true, Run.help),
        Command("complete", "words that can stand at the end of a line", "*string", isHidden: true, Run.complete),
    ]
}
