import DeviceModel
import HostOS
import Machine
import MachineState
import TestSupport
import Testing

/// Senders that say what no machine says: several connections, memory that follows, packed pages.
@Suite(.serialized)
struct HostileSenderTests {
    /// The sections of a machine that stands.
    private func sections(_ folder: String) throws -> [(name: String, state: DeviceState)] {
        let first = try RunningMachine(MovedMachineTests.configuration(.microvm, 1, folder))
        try first.save(to: "\(folder)/one")
        #expect(first.end() == 0)
        var reader = try StateReader(try SavedBytes("\(folder)/one"))
        let nowhere = Nowhere()
        var sections: [(name: String, state: DeviceState)] = []
        while true {
            switch try reader.next(nowhere) {
            case .values(let name, let state): sections.append((name, state))
            case .memory: break
            case .end: return sections
            }
        }
    }

    private func head(_ sections: [(name: String, state: DeviceState)], lanes: Int, isLate: Bool) -> DeviceState {
        var head = sections[0].state
        head.version = 2
        head.set("answers", true)
        head.set("lanes", lanes)
        head.set("late", isLate)
        head.set("token", [UInt8](repeating: 7, count: 16))
        return head
    }

    /// Sends bytes to a machine that waits, over a connection each, and closes those of `closed`, if not told so all but
    /// the first, whose sender waits for word; the machine's end, and why.
    private func send(_ streams: [[UInt8]], _ folder: String, closed: [Int]? = nil) throws -> String {
        Signals.ignoreBrokenPipes()
        var configuration = MovedMachineTests.configuration(.microvm, 1, folder)
        configuration.incoming = "unix:\(folder)/door"
        try? HostFile.remove("\(folder)/door")
        let machine = try RunningMachine(configuration)
        var sockets: [Descriptor] = []
        for stream in streams {
            let socket = try Socket.connect(SocketAddress.unix("\(folder)/door"))
            sockets.append(socket)
            try? socket.writeAll(stream)
        }
        for index in closed ?? Array(sockets.indices.dropFirst()) { Socket.shutDown(sockets[index]) }
        machine.wait("refusal") { machine.machine.migration.status == .failed }
        for socket in sockets { Socket.shutDown(socket) }
        #expect(machine.finish() == 1)
        return machine.machine.migration.error ?? ""
    }

    private func stream(_ parts: [(String, DeviceState)], ends: Bool = false) throws -> [UInt8] {
        let sink = SavedBytes()
        var writer = try StateWriter(sink)
        for (name, state) in parts { try writer.write(state, section: name) }
        if ends { try writer.finish() }
        return sink.bytes
    }

    @Test("Connections and late memory that are malformed end in an error that names what is wrong")
    func malformed() throws {
        try Samples.withFolder(["kernel": Samples.kernel + [UInt8](repeating: 0, count: 4096)]) { folder in
            let all = try sections(folder)
            let empty = DeviceState(version: 1)
            func says(_ streams: [[UInt8]], _ words: String, closed: [Int]? = nil) throws {
                let said = try send(streams, folder, closed: closed)
                #expect(said.contains(words), "\(said)")
            }
            try says([try stream([("machine", head(all, lanes: 17, isLate: false))])], "lanes")
            // A stranger beside the sender.
            let hello = Array("APUSLANE".utf8)
            let two = try stream([("machine", head(all, lanes: 2, isLate: false))])
            for other in [
                hello + [UInt8](repeating: 8, count: 16) + [0, 0, 0, 0],
                hello + [UInt8](repeating: 7, count: 16) + [2, 0, 0, 0],
                hello + [UInt8](repeating: 7, count: 16) + [255, 255, 255, 255],
                [UInt8](repeating: 0, count: 28),
            ] { try says([two, other], "does not belong") }
            try says([two, hello], "closed the connection")
            // Connections whose streams are none, or that say what belongs to the first.
            let good = (0..<2).map { hello + [UInt8](repeating: 7, count: 16) + [UInt8($0), 0, 0, 0] }
            // The first ends while the others wait, for bytes or for the end of a round: only it is why.
            try says([two] + good, "behind section 'machine'", closed: [0])
            let round = try stream([("round", empty)])
            try says([two] + good.map { $0 + round }, "behind section 'machine'", closed: [0])
            try says([two, good[0] + [1, 2, 3], good[1]], "no saved state")
            try says(
                [two, good[0] + (try stream([("clock", empty)])), good[1] + (try stream([("round", empty)]))],
                "'clock'")
            // Memory that follows.
            let late = head(all, lanes: 0, isLate: true)
            try says([try stream([("machine", late), ("late", empty)])], "Section 'late'")
            var blocks = DeviceState(version: 1)
            blocks.set("blocks", [DeviceState(version: 1)])
            try says([try stream([("machine", late), ("late", blocks)])], "Section 'late'")
            // Without late memory its words are devices that are not there.
            var plain = head(all, lanes: 0, isLate: false)
            try says([try stream([("machine", plain), ("switch", empty)], ends: true)], "'switch' belongs to no device")
            // Nobody keeps what no device has until the end comes, which need not come.
            try says([try stream([("machine", plain), ("a", empty), ("b", empty)])], "'a' belongs to no device")
            try says([try stream([("machine", plain), ("clock", empty), ("clock", empty)])], "It comes twice")
            plain.version = 3
            try says([try stream([("machine", plain)])], "Version 3")
        }
    }

    @Test("Packed pages that are broken are refused, and cost no more memory than they may")
    func packed() throws {
        try Samples.withFolder(["kernel": Samples.kernel + [UInt8](repeating: 0, count: 4096)]) { folder in
            // A stream with packed memory, from a machine.
            let first = try RunningMachine(MovedMachineTests.configuration(.microvm, 1, folder))
            try first.machine.setMigrationCapabilities([("compress", true)])
            try first.save(to: "\(folder)/packed")
            #expect(first.end() == 0)
            var configuration = MovedMachineTests.configuration(.microvm, 1, folder)
            configuration.incoming = "defer"
            let second = try RunningMachine(configuration)
            let saved = try SavedBytes("\(folder)/packed")
            try second.machine.take(SavedBytes(saved.bytes))
            let place = try #require(saved.sections.first { $0.name == "pc.ram" || $0.name.contains("ram") })
            var random = SplitMix64(state: 21)
            for _ in 0..<FuzzRounds.times(200) {
                var bytes = saved.bytes
                let at = Int.random(in: place.contents, using: &random)
                bytes[at] ^= UInt8.random(in: 1...255, using: &random)
                // With a right checksum too: what is unpacked is then the library's to refuse.
                var contents = Array(bytes[place.contents])
                if Bool.random(using: &random), contents.count > 24 {
                    let runs = (0..<4).reduce(0) { $0 | Int(contents[$1]) << ($1 * 8) }
                    let table = min(contents.count, 8 + min(runs, 512) * 16 + 8)
                    var sum = StateChecksum()
                    sum.add(Array(contents[..<table]))
                    sum.add(Array(contents[table...]))
                    let start = place.contents.lowerBound
                    let frameBytes = start - 32 - place.name.utf8.count..<start
                    var head = Array(bytes[frameBytes])
                    for index in 0..<8 { head[16 + index] = UInt8(truncatingIfNeeded: sum.value >> UInt64(index * 8)) }
                    var frame = StateChecksum()
                    frame.add(Array(head[..<24]))
                    frame.add(Array(place.name.utf8))
                    for index in 0..<8 {
                        head[24 + index] = UInt8(truncatingIfNeeded: frame.value >> UInt64(index * 8))
                    }
                    bytes.replaceSubrange(frameBytes, with: head)
                }
                contents = []
                // An error, or pages with other bytes; nothing else.
                do throws(StateError) { try second.machine.take(SavedBytes(bytes)) } catch {
                    #expect(!error.description.isEmpty)
                }
            }
            try second.machine.take(SavedBytes(saved.bytes))
            #expect(second.end() == 0)
        }
    }
}
