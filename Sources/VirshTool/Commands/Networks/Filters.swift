internal import LibvirtClient
internal import RPCWire

/// Network filters, and what they are bound to.
extension Run {
    private static func define(_ c: Call, _ xml: String, validates: Bool) throws -> RemoteNWFilter {
        validates
            ? try c.ask(Remote.NWFilterDefineXMLFlags.self, .init(xml: xml, flags: 1)).nwfilter
            : try c.ask(Remote.NWFilterDefineXML.self, .init(xml: xml)).nwfilter
    }

    static func nwfilterDefine(_ c: Call) throws {
        let path = try c.text("file")
        let xml = try c.file(path)
        let filter = try failing("Failed to define network filter from \(path)") {
            try define(c, xml, validates: c.has("validate"))
        }
        c.say("Network filter \(filter.name) defined from \(path)\n")
    }

    static func nwfilterUndefine(_ c: Call) throws {
        let filter = try c.filter()
        try failing("Failed to undefine network filter \(filter.name)") {
            try c.ask(Remote.NWFilterUndefine.self, .init(nwfilter: filter))
        }
        c.say("Network filter \(filter.name) undefined\n")
    }

    static func nwfilterDumpxml(_ c: Call) throws {
        try printXML(c, try c.ask(Remote.NWFilterGetXMLDesc.self, .init(nwfilter: try c.filter(), flags: 0)).xml)
    }

    static func nwfilterEdit(_ c: Call) throws {
        let filter = try c.filter()
        let changed = try Editor.editDefinition(
            c, "Network filter \(filter.name) XML configuration not changed.\n",
            read: { try c.ask(Remote.NWFilterGetXMLDesc.self, .init(nwfilter: filter, flags: 0)).xml }
        ) { _ = try define(c, $0, validates: false) }
        if changed { c.say("Network filter \(filter.name) XML configuration edited.\n") }
    }

    static func nwfilterList(_ c: Call) throws {
        let filters = try failing("Failed to list network filters") {
            try c.ask(Remote.ConnectListAllNwfilters.self, .init(needResults: 1, flags: 0)).filters
        }
        var table = TextTable("UUID", "Name")
        for filter in filters.sorted(by: { isBefore($0.name, $1.name) }) { table.add("\(filter.uuid)", filter.name) }
        c.table(table)
    }

    static func nwfilterBindingCreate(_ c: Call) throws {
        let path = try c.text("file")
        let xml = try c.file(path)
        let binding = try failing("Failed to create network filter from \(path)") {
            try c.ask(Remote.NWFilterBindingCreateXML.self, .init(xml: xml, flags: c.has("validate") ? 1 : 0)).nwfilter
        }
        c.say("Network filter binding on \(binding.portdev) created from \(path)\n")
    }

    static func nwfilterBindingDelete(_ c: Call) throws {
        let binding = try c.filterBinding()
        try failing("Failed to delete network filter binding on \(binding.portdev)") {
            try c.ask(Remote.NWFilterBindingDelete.self, .init(nwfilter: binding))
        }
        c.say("Network filter binding on \(binding.portdev) deleted\n")
    }

    static func nwfilterBindingDumpxml(_ c: Call) throws {
        try printXML(
            c, try c.ask(Remote.NWFilterBindingGetXMLDesc.self, .init(nwfilter: try c.filterBinding(), flags: 0)).xml)
    }

    static func nwfilterBindingList(_ c: Call) throws {
        let bindings = try failing("Failed to list network filter bindings") {
            try c.ask(Remote.ConnectListAllNWFilterBindings.self, .init(needResults: 1, flags: 0)).bindings
        }
        var table = TextTable("Port Dev", "Filter")
        for binding in bindings.sorted(by: { isBefore($0.portdev, $1.portdev) }) {
            table.add(binding.portdev, binding.filtername)
        }
        c.table(table)
    }
}
