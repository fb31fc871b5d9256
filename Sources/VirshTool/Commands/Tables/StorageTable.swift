// Rows of the table of commands: name, summary, options as `CommandOption` reads them, what runs it.

extension Command {
    static let pools: [Command] = [
        Command(
            "find-storage-pool-sources-as", "look for what pools can be made of, by options",
            "!type host= port= initiator=", Run.findStoragePoolSourcesAs),
        Command(
            "find-storage-pool-sources", "look for what pools can be made of, by XML",
            "!type srcSpec=", Run.findStoragePoolSources),
        Command(
            "pool-autostart", "start a pool when the host starts",
            "!pool disable", Run.poolAutostart),
        Command(
            "pool-build", "prepare what a pool is made of",
            "!pool no-overwrite overwrite", Run.poolBuild),
        Command(
            "pool-create-as", "start a pool out of options",
            """
            !name !type print-xml source-host= source-path= source-dev= source-name= target= \
            source-format= auth-type= auth-username= secret-usage= secret-uuid= adapter-name= \
            adapter-wwnn= adapter-wwpn= adapter-parent= adapter-parent-wwnn= adapter-parent-wwpn= \
            adapter-parent-fabric-wwn= source-protocol-ver= source-initiator= build no-overwrite \
            overwrite
            """, Run.poolCreateAs),
        Command(
            "pool-create", "start a pool out of an XML file",
            "!file build no-overwrite overwrite", Run.poolCreate),
        Command(
            "pool-define-as", "define a pool out of options",
            """
            !name !type print-xml source-host= source-path= source-dev= source-name= target= \
            source-format= auth-type= auth-username= secret-usage= secret-uuid= adapter-name= \
            adapter-wwnn= adapter-wwpn= adapter-parent= adapter-parent-wwnn= adapter-parent-wwpn= \
            adapter-parent-fabric-wwn= source-protocol-ver= source-initiator=
            """, Run.poolDefineAs),
        Command(
            "pool-define", "define a pool out of an XML file, or change it",
            "!file validate", Run.poolDefine),
        Command(
            "pool-delete", "delete what a pool is made of",
            "!pool", Run.poolDelete),
        Command(
            "pool-destroy", "stop a pool",
            "!pool", Run.poolDestroy),
        Command(
            "pool-dumpxml", "XML of a pool",
            "!pool inactive xpath= wrap", Run.poolDumpxml),
        Command(
            "pool-edit", "edit the XML of a pool",
            "!pool", Run.poolEdit),
        Command(
            "pool-info", "facts of a pool",
            "!pool bytes", Run.poolInfo),
        Command(
            "pool-list", "list pools",
            "inactive all transient persistent autostart no-autostart type= details uuid name", Run.poolList),
        Command(
            "pool-name", "name of a pool",
            "!pool", Run.poolName),
        Command(
            "pool-refresh", "look again what is in a pool",
            "!pool", Run.poolRefresh),
        Command(
            "pool-start", "start a defined pool",
            "!pool build no-overwrite overwrite", Run.poolStart),
        Command(
            "pool-undefine", "remove a pool's definition",
            "!pool", Run.poolUndefine),
        Command(
            "pool-uuid", "UUID of a pool",
            "!pool", Run.poolUuid),
        Command(
            "pool-event", "wait for events of pools",
            "pool= event= loop timeout# list timestamp", Run.poolEvent),
        Command(
            "pool-capabilities", "kinds of pools",
            "", Run.poolCapabilities),
    ]

    static let volumes: [Command] = [
        Command(
            "vol-clone", "copy a volume within its pool",
            "!vol !newname pool= prealloc-metadata reflink print-xml", Run.volClone),
        Command(
            "vol-create-as", "make a volume out of options",
            """
            !pool !name !capacity allocation= format= backing-vol= backing-vol-format= \
            prealloc-metadata print-xml
            """, Run.volCreateAs),
        Command(
            "vol-create", "make a volume out of an XML file",
            "!pool !file prealloc-metadata validate", Run.volCreate),
        Command(
            "vol-create-from", "make a volume out of another",
            "!pool !file !vol inputpool= prealloc-metadata reflink validate", Run.volCreateFrom),
        Command(
            "vol-delete", "delete a volume",
            "!vol pool= delete-snapshots", Run.volDelete),
        Command(
            "vol-download", "write a volume's contents to a file",
            "!vol !file pool= offset# length# sparse", Run.volDownload),
        Command(
            "vol-dumpxml", "XML of a volume",
            "!vol pool= xpath= wrap", Run.volDumpxml),
        Command(
            "vol-info", "facts of a volume",
            "!vol pool= bytes physical", Run.volInfo),
        Command(
            "vol-key", "key of a volume",
            "!vol pool=", Run.volKey),
        Command(
            "vol-list", "list volumes",
            "!pool details", Run.volList),
        Command(
            "vol-name", "name of a volume",
            "!vol", Run.volName),
        Command(
            "vol-path", "path of a volume",
            "!vol pool=", Run.volPath),
        Command(
            "vol-pool", "pool of a volume",
            "!vol uuid", Run.volPool),
        Command(
            "vol-resize", "change a volume's size",
            "!vol !capacity pool= allocate delta shrink", Run.volResize),
        Command(
            "vol-upload", "fill a volume with a file's contents",
            "!vol !file pool= offset# length# sparse", Run.volUpload),
        Command(
            "vol-wipe", "overwrite a volume",
            "!vol pool= algorithm=", Run.volWipe),
    ]
}
