// Rows of the table of commands: name, summary, options as `CommandOption` reads them, what runs it.

extension Command {
    static let nodeDevices: [Command] = [
        Command(
            "nodedev-create", "make a device out of an XML file",
            "!file validate", Run.nodedevCreate),
        Command(
            "nodedev-destroy", "stop a device",
            "!device", Run.nodedevDestroy),
        Command(
            "nodedev-detach", "take a device from the host's driver",
            "!device driver=", Run.nodedevDetach),
        Command(
            "nodedev-dumpxml", "XML of a device",
            "!device xpath= wrap", Run.nodedevDumpxml),
        Command(
            "nodedev-list", "list the host's devices",
            "tree cap= inactive all", Run.nodedevList),
        Command(
            "nodedev-reattach", "give a device back to the host's driver",
            "!device", Run.nodedevReattach),
        Command(
            "nodedev-reset", "reset a device",
            "!device", Run.nodedevReset),
        Command(
            "nodedev-event", "wait for events of devices",
            "device= event= loop timeout# list timestamp", Run.nodedevEvent),
        Command(
            "nodedev-define", "define a device out of an XML file",
            "!file validate", Run.nodedevDefine),
        Command(
            "nodedev-undefine", "remove a device's definition",
            "!device", Run.nodedevUndefine),
        Command(
            "nodedev-start", "start a defined device",
            "!device", Run.nodedevStart),
        Command(
            "nodedev-autostart", "start a device when the host starts",
            "!device disable", Run.nodedevAutostart),
        Command(
            "nodedev-info", "facts of a device",
            "!device", Run.nodedevInfo),
        Command("nodedev-dettach", "nodedev-detach", "!device driver=", isHidden: true, Run.nodedevDetach),
    ]

    static let secrets: [Command] = [
        Command(
            "secret-define", "define a secret out of an XML file, or change it",
            "!file validate", Run.secretDefine),
        Command(
            "secret-dumpxml", "XML of a secret",
            "!secret xpath= wrap", Run.secretDumpxml),
        Command(
            "secret-event", "wait for events of secrets",
            "secret= event= loop timeout# list timestamp", Run.secretEvent),
        Command(
            "secret-get-value", "value of a secret",
            "!secret plain", Run.secretGetValue),
        Command(
            "secret-list", "list secrets",
            "ephemeral no-ephemeral private no-private", Run.secretList),
        Command(
            "secret-set-value", "set the value of a secret",
            "!secret file= plain interactive base64=", Run.secretSetValue),
        Command(
            "secret-undefine", "remove a secret",
            "!secret", Run.secretUndefine),
    ]
}
