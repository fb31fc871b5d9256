public import DeviceModel
internal import Synchronization

extension AHCIController {
    public func exportState() -> DeviceState {
        state.withLock { state in
            var saved = DeviceState(version: 1)
            saved.set("pci", [function.exportState()])
            saved.set("control", state.model.control)
            saved.set("status", state.model.hostStatus)
            saved.set("index", index.withLock { $0 })
            saved.set(
                "ports",
                state.model.ports.indices.map { index in
                    let port = state.model.ports[index]
                    var part = DeviceState(version: 1)
                    part.set("list", port.listBase)
                    part.set("fis", port.fisBase)
                    part.set("status", port.status)
                    part.set("enable", port.enable)
                    part.set("command", port.command)
                    part.set("task", port.taskFile)
                    part.set("signature", port.signature)
                    part.set("control", port.sataControl)
                    part.set("error", port.sataError)
                    part.set("active", port.active)
                    part.set("issue", port.issue)
                    part.set("halted", port.isHalted)
                    part.set("resetting", state.isResetting[index])
                    part.set("drive", state.drives[index].map { [$0.exportState()] } ?? [])
                    return part
                })
            return saved
        }
    }

    public func importState(_ saved: DeviceState) throws(DeviceStateError) {
        try saved.requireVersion(1...1)
        var (model, drives, resetting) = state.withLock { ($0.model, $0.drives, $0.isResetting) }
        model.control = try saved.integer("control", as: UInt32.self) & AHCIModel.Host.interruptEnable
            | AHCIModel.Host.enabled
        model.hostStatus = try saved.integer("status")
        // States of older releases do not have it.
        let selected: UInt32 = saved.fields["index"] == nil ? 0 : try saved.integer("index") & 0xFFC
        for (index, part) in try saved.list("ports", count: model.ports.count).enumerated() {
            var port = model.ports[index]
            port.listBase = try part.integer("list", as: UInt64.self) & ~0x3FF
            port.fisBase = try part.integer("fis", as: UInt64.self) & ~0xFF
            port.status = try part.integer("status")
            port.enable = try part.integer("enable")
            port.command = try part.integer("command", as: UInt32.self) & AHCIModel.Command.writable | 0x6
            port.taskFile = try part.integer("task")
            port.signature = try part.integer("signature")
            port.sataControl = try part.integer("control")
            port.sataError = try part.integer("error")
            port.active = try part.integer("active")
            port.issue = try part.integer("issue")
            port.isHalted = try part.bool("halted")
            port.taken = 0
            model.ports[index] = port
            resetting[index] = try part.bool("resetting")
            let drive = try part.list("drive", count: drives[index] == nil ? 0 : 1)
            if let one = drive.first { try drives[index]?.importState(one) }
        }
        try function.importState(try saved.list("pci", count: 1)[0])
        index.withLock { $0 = selected }
        let (newModel, newDrives, newResetting) = (model, drives, resetting)
        state.withLock { state in
            state.model = newModel
            state.drives = newDrives
            state.isResetting = newResetting
            state.openTrays = newDrives.map { $0?.isTrayOpen ?? false }
            settle(state, isNew: false)
        }
    }
}
