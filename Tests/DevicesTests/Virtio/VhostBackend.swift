import Devices
import Foundation
import GuestMemory
import HostOS
import Synchronization
import TestSupport
import VirtQueue

/// A vhost-user back-end on a thread: the real protocol over a real socket, its rings by `VirtQueue`. What is not
/// understood it refuses, as libvhost-user does. It can be told to lie.
final class VhostBackend: Sendable {
    /// What it does wrong.
    enum Lie: Sendable, Equatable {
        case none
        /// Answers this request with so many bytes of nonsense, and a head that says so.
        case answer(UInt32, bytes: Int)
        /// Says another request's number.
        case mistakes(UInt32)
        /// Does not answer.
        case silent(UInt32)
        /// Closes the connection when it is asked.
        case hangsUp(UInt32)
        /// Returns a buffer that it was not given, or the same twice.
        case badBuffer(UInt32)
        /// Claims to have returned more than there is.
        case badIndex
        /// Says something that nobody asked for.
        case speaks
    }
    struct State {
        var requests: [UInt32] = []
        var bodies: [UInt32: [UInt8]] = [:]
        var enabled: [UInt32: Bool] = [:]
        var channel: Descriptor?
        var configuration = [UInt8](repeating: 0, count: 60)
        var served = 0
        var isHolding = false
        var hasEnded = false
    }
    private struct Ring {
        var size: UInt16 = 0
        var addresses: [UInt64] = []
        var kick: Descriptor?
        var call: Descriptor?
        var queue: VirtQueue?
    }
    let state = Mutex(State())
    private let socket: Descriptor
    private let lie: Lie
    private let features: UInt64
    private let protocolFeatures: UInt64

    static let version1: UInt64 = 1 << 32
    static let indirect: UInt64 = 1 << 28
    static let negotiation: UInt64 = 1 << 30

    /// A back-end at one end of a socket: it copies what buffers have to read to where they can be written, each byte
    /// plus one.
    init(
        _ socket: Descriptor, lie: Lie = .none, features: UInt64 = version1 | indirect | negotiation | 0x7FFF,
        protocolFeatures: UInt64 = 1 << 0 | 1 << 3 | 1 << 5 | 1 << 9, holds: Bool = false
    ) throws {
        self.socket = socket
        self.lie = lie
        self.features = features
        self.protocolFeatures = protocolFeatures
        state.withLock { $0.isHolding = holds }
        Thread.detachNewThread { self.run() }
    }

    /// A connected pair: the device's end.
    static func pair(_ lie: Lie = .none, holds: Bool = false) throws -> (VhostBackend, Descriptor) {
        let (mine, its) = try DescriptorPair.sockets()
        return (try VhostBackend(its, lie: lie, holds: holds), mine)
    }

    func end() {
        state.withLock { $0.hasEnded = true }
        Socket.shutDown(socket)
    }
    /// Says something that nobody asked for.
    func shout(_ bytes: [UInt8]) { _ = Socket.send(socket, bytes[...], passing: []) }
    var requests: [UInt32] { state.withLock { $0.requests } }
    var served: Int { state.withLock { $0.served } }
    /// Whether buffers are left where they are.
    func hold(_ isHolding: Bool) { state.withLock { $0.isHolding = isHolding } }

    // MARK: Bytes

    private func number(_ bytes: [UInt8], _ offset: Int, _ count: Int) -> UInt64 {
        (0..<count).reduce(UInt64(0)) {
            $0 | (offset + $1 < bytes.count ? UInt64(bytes[offset + $1]) << UInt64($1 * 8) : 0)
        }
    }
    private func bytes(_ value: UInt64, _ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt64($0 * 8)) }
    }
    private func reply(_ request: UInt32, _ body: [UInt8]) {
        let said = lie == .mistakes(request) ? request + 1 : request
        _ = Socket.send(
            socket, (bytes(UInt64(said), 4) + bytes(5, 4) + bytes(UInt64(body.count), 4) + body)[...], passing: [])
    }

    // MARK: Work

    private func run() {
        var rings: [Int: Ring] = [:]
        var memory = AddressSpace()
        var input: [UInt8] = []
        var passed: [Descriptor] = []
        while !state.withLock({ $0.hasEnded }) {
            _ = socket.wait(for: [.read], milliseconds: 2)
            var space = [UInt8](repeating: 0, count: 8192)
            let (moved, descriptors) = unsafe space.withUnsafeMutableBytes { unsafe Socket.receive(socket, into: $0) }
            passed += descriptors
            switch moved {
            case .moved(let count): input += space.prefix(count)
            case .wouldBlock: break
            case .end, .failed: return
            }
            while input.count >= 12 {
                let whole = 12 + Int(number(input, 8, 4))
                guard input.count >= whole else { break }
                let request = UInt32(number(input, 0, 4))
                let wantsReply = number(input, 4, 4) & 8 != 0
                let body = Array(input[12..<whole])
                input.removeFirst(whole)
                let ours = passed
                passed = []
                obey(request, body, ours, wantsReply, &rings, &memory)
            }
            for index in rings.keys.sorted() { serve(index, &rings[index]!) }
        }
    }

    private func obey(
        _ request: UInt32, _ body: [UInt8], _ passed: [Descriptor], _ wantsReply: Bool, _ rings: inout [Int: Ring],
        _ memory: inout AddressSpace
    ) {
        state.withLock {
            $0.requests.append(request)
            $0.bodies[request] = body
        }
        switch lie {
        case .answer(request, let count):
            return reply(request, (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37) })
        case .silent(request): return
        case .hangsUp(request): return end()
        default: break
        }
        var answer: UInt64 = 0
        let index = Int(number(body, 0, 4)) & 0xFF
        switch request {
        case 1: return reply(request, bytes(features, 8))
        case 15: return reply(request, bytes(protocolFeatures, 8))
        case 17: return reply(request, bytes(16, 8))
        case 24:
            let configuration = state.withLock { $0.configuration }
            return reply(request, Array(body.prefix(12)) + configuration.prefix(Int(number(body, 4, 4))))
        case 11:
            rings[index]?.queue = nil
            let progress = rings[index] == nil ? 0 : 7
            return reply(request, bytes(UInt64(index), 4) + bytes(UInt64(progress), 4))
        case 5:
            memory = AddressSpace()
            for region in 0..<Int(number(body, 0, 4)) where region < passed.count {
                let place = 8 + region * 32
                guard
                    let block = try? RAMBlock(
                        name: "region", size: Int(number(body, place + 8, 8)), file: passed[region], isShared: true)
                else { continue }
                memory.add(
                    FlatView.Range(
                        start: GuestPhysical(number(body, place, 8)), count: UInt64(block.size), block: block))
            }
        case 8: rings[index, default: Ring()].size = UInt16(truncatingIfNeeded: number(body, 4, 4))
        case 9: rings[index, default: Ring()].addresses = (0..<3).map { number(body, 8 + $0 * 8, 8) }
        case 12: rings[index, default: Ring()].kick = passed.first
        case 13: rings[index, default: Ring()].call = passed.first
        case 18:
            state.withLock { $0.enabled[UInt32(index)] = number(body, 4, 4) == 1 }
            start(index, &rings, memory)
        case 21: state.withLock { $0.channel = passed.first }
        case 2, 3, 10, 16, 25: break
        default: answer = 1
        }
        if wantsReply { reply(request, bytes(answer, 8)) }
        if case .speaks = lie, request == 18 { reply(99, []) }
    }

    private func start(_ index: Int, _ rings: inout [Int: Ring], _ memory: AddressSpace) {
        guard var ring = rings[index], ring.addresses.count == 3, ring.queue == nil else { return }
        ring.queue = try? VirtQueue(
            memory: memory,
            configuration: QueueConfiguration(
                size: ring.size, descriptors: GuestPhysical(ring.addresses[0]),
                driver: GuestPhysical(ring.addresses[2]),
                device: GuestPhysical(ring.addresses[1]), hasIndirect: features & Self.indirect != 0))
        rings[index] = ring
    }

    private func serve(_ index: Int, _ ring: inout Ring) {
        guard let queue = ring.queue, !state.withLock({ $0.isHolding }) else { return }
        let chain = DescriptorChain(memory: queue.memory)
        var count = 0
        while (try? queue.pop(into: chain)) == true {
            let bytes = chain.bytes(at: 0, count: chain.readableCount).map { $0 &+ 1 }
            if case .badBuffer(let id) = lie {
                let place = ring.addresses[1] + 4 + UInt64(count % Int(ring.size)) * 8
                try? queue.memory.store(GuestPhysical(place), id)
                try? queue.memory.store(GuestPhysical(ring.addresses[1] + 2), UInt16(count + 1))
            } else if lie == .badIndex {
                try? queue.memory.store(GuestPhysical(ring.addresses[1] + 2), UInt16(ring.size + 100))
            } else {
                queue.push(chain, written: chain.write(at: 0, bytes: bytes))
            }
            count += 1
        }
        guard count > 0 else { return }
        state.withLock { $0.served += count }
        var one: UInt64 = 1
        if let call = ring.call { _ = unsafe withUnsafeBytes(of: &one) { unsafe call.write($0) } }
    }
}
