internal import VirtQueue

// The control queues of a device with many ports. virtio 1.2, 5.3.6.2: messages of port number (4 bytes), event (2),
// value (2), and for names the name.
extension VirtioConsole {
    enum Control {
        static let deviceReady: UInt16 = 0
        static let portAdd: UInt16 = 1
        static let portReady: UInt16 = 3
        static let consolePort: UInt16 = 4
        static let resize: UInt16 = 5
        static let portOpen: UInt16 = 6
        static let portName: UInt16 = 7
        /// Messages that wait for a driver which gives no buffers; more are dropped.
        static let limit = 256
    }

    func queueControl(
        _ event: UInt16, port index: Int, value: UInt16, extra: [UInt8] = [], _ state: inout State
    ) {
        guard state.control.count < Control.limit else { return }
        var message: [UInt8] = []
        VirtioConfiguration.append(&message, UInt32(ports[index].id))
        VirtioConfiguration.append(&message, event)
        VirtioConfiguration.append(&message, value)
        state.control.append(message + extra)
    }

    func queueResize(_ index: Int, _ state: inout State) {
        // Rows and columns follow; Linux reads them in this order, the reverse of the configuration's.
        var extra: [UInt8] = []
        VirtioConfiguration.append(&extra, state.rows)
        VirtioConfiguration.append(&extra, state.columns)
        queueControl(Control.resize, port: index, value: 0, extra: extra, &state)
    }

    /// Reads the driver's messages. Returns true where more wait than one turn takes.
    func takeControl(_ state: inout State) -> Bool {
        guard state.isMultiport, let interrupt = state.interrupt, let chain = state.chain,
            let queue = state.queues[Self.controlTransmitQueue]
        else { return false }
        var messages: [(id: UInt32, event: UInt16, value: UInt16)] = []
        let more = queue.process(Self.controlTransmitQueue, interrupt, chain, limit: Control.limit) { chain in
            if let id = chain.load(at: 0, as: UInt32.self), let event = chain.load(at: 4, as: UInt16.self),
                let value = chain.load(at: 6, as: UInt16.self)
            {
                messages.append((id, event, value))
            }
            return 0
        }
        for message in messages { handle(message.id, message.event, message.value, &state) }
        return more
    }

    private func handle(_ id: UInt32, _ event: UInt16, _ value: UInt16, _ state: inout State) {
        if event == Control.deviceReady {
            guard value == 1 else { return }
            for index in ports.indices { queueControl(Control.portAdd, port: index, value: 1, &state) }
            return
        }
        guard let index = ports.firstIndex(where: { $0.id == Int(id) }) else { return }
        switch event {
        case Control.portReady:
            guard value == 1 else { return }
            if ports[index].isConsole {
                queueControl(Control.consolePort, port: index, value: 1, &state)
                if state.columns > 0 { queueResize(index, &state) }
            }
            if let name = ports[index].name {
                queueControl(Control.portName, port: index, value: 1, extra: Array(name.utf8) + [0], &state)
            }
            if state.ports[index].isHostOpen { queueControl(Control.portOpen, port: index, value: 1, &state) }
        case Control.portOpen: state.ports[index].isGuestOpen = value == 1
        default: break
        }
    }

    /// Moves waiting messages into the driver's buffers; a buffer that is too short gets none.
    func sendControl(_ state: inout State) {
        guard state.isMultiport, let interrupt = state.interrupt, let chain = state.chain,
            let queue = state.queues[Self.controlReceiveQueue]
        else { return }
        while let message = state.control.first {
            var isSent = false
            let more = queue.process(Self.controlReceiveQueue, interrupt, chain, limit: 1) { chain in
                isSent = true
                return chain.write(at: 0, bytes: message)
            }
            if isSent { state.control.removeFirst() }
            if !more { return }
        }
    }
}
