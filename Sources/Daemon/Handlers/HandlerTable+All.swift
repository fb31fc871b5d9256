extension HandlerTable {
    /// Everything that this daemon answers.
    static let all: HandlerTable = {
        var table = HandlerTable()
        table.addConnection()
        table.addHost()
        table.addDomainQuestions()
        table.addDomainLists()
        table.addDomainChanges()
        table.addDomainTexts()
        table.addStatistics()
        table.addTuning()
        table.addDeviceChanges()
        table.addEvents()
        table.addStreams()
        table.addMonitor()
        table.addPools()
        table.addPoolChanges()
        table.addVolumes()
        table.addVolumeStreams()
        table.addNetworks()
        table.addSecrets()
        table.addFilters()
        table.addHostInterfaces()
        table.addNodeDevices()
        return table
    }()
}
