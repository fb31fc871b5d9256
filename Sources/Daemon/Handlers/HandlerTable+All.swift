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
        table.addEvents()
        table.addStreams()
        table.addMonitor()
        return table
    }()
}
