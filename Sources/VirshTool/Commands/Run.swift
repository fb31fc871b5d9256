/// What runs the commands of the table: a function each, under the command's name. Each family has files of its own.
enum Run {}

extension Command {
    static var domainManagement: [Command] { domainManagement1 + domainManagement2 }
}
