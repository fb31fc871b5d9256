// Rows of the table of commands: name, summary, options as `CommandOption` reads them, what runs it.

extension Command {
    static let checkpoints: [Command] = [
        Command(
            "checkpoint-create", "make a checkpoint out of XML",
            "!domain xmlfile= redefine redefine-validate quiesce", Run.checkpointCreate),
        Command(
            "checkpoint-create-as", "make a checkpoint out of options",
            "!domain name= description= print-xml quiesce *diskspec", Run.checkpointCreateAs),
        Command(
            "checkpoint-delete", "remove a checkpoint",
            "!domain checkpointname= children children-only metadata", Run.checkpointDelete),
        Command(
            "checkpoint-dumpxml", "XML of a checkpoint",
            "!domain checkpointname= security-info no-domain size xpath= wrap", Run.checkpointDumpxml),
        Command(
            "checkpoint-edit", "edit the XML of a checkpoint",
            "!domain checkpointname=", Run.checkpointEdit),
        Command(
            "checkpoint-info", "facts of a checkpoint",
            "!domain checkpointname=", Run.checkpointInfo),
        Command(
            "checkpoint-list", "list checkpoints",
            "!domain parent roots leaves no-leaves tree from= descendants name topological", Run.checkpointList),
        Command(
            "checkpoint-parent", "name of a checkpoint's parent",
            "!domain checkpointname=", Run.checkpointParent),
    ]

    static let snapshots: [Command] = [
        Command(
            "snapshot-create", "make a snapshot out of XML",
            """
            !domain xmlfile= redefine current no-metadata halt disk-only reuse-external quiesce \
            atomic live validate
            """, Run.snapshotCreate),
        Command(
            "snapshot-create-as", "make a snapshot out of options",
            """
            !domain name= description= print-xml no-metadata halt disk-only reuse-external quiesce \
            atomic live validate ^memspec= *diskspec
            """, Run.snapshotCreateAs),
        Command(
            "snapshot-current", "show or set the current snapshot",
            "!domain name security-info snapshotname=", Run.snapshotCurrent),
        Command(
            "snapshot-delete", "remove a snapshot",
            "!domain snapshotname= current children children-only metadata", Run.snapshotDelete),
        Command(
            "snapshot-dumpxml", "XML of a snapshot",
            "!domain !snapshotname security-info xpath= wrap", Run.snapshotDumpxml),
        Command(
            "snapshot-edit", "edit the XML of a snapshot",
            "!domain snapshotname= current rename clone", Run.snapshotEdit),
        Command(
            "snapshot-info", "facts of a snapshot",
            "!domain snapshotname= current", Run.snapshotInfo),
        Command(
            "snapshot-list", "list snapshots",
            """
            !domain parent roots leaves no-leaves metadata no-metadata inactive active disk-only \
            internal external tree from= current descendants name topological
            """, Run.snapshotList),
        Command(
            "snapshot-parent", "name of a snapshot's parent",
            "!domain snapshotname= current", Run.snapshotParent),
        Command(
            "snapshot-revert", "go back to a snapshot",
            "!domain snapshotname= current running paused force reset-nvram", Run.snapshotRevert),
    ]

    static let backups: [Command] = [
        Command(
            "backup-begin", "start a backup of a running domain",
            "!domain backupxml= checkpointxml= reuse-external", Run.backupBegin),
        Command(
            "backup-dumpxml", "XML of a running backup",
            "!domain xpath= wrap", Run.backupDumpxml),
    ]
}
