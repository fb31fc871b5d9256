internal import HostOS
internal import SASL
internal import SystemPackage

/// A connection whose bytes go through the layer that SASL has agreed upon.
final class LayeredTransport: ClientTransport {
    private let below: any ClientTransport
    private let layer: SASLSession
    /// What is opened and has found no room yet.
    private var opened: [UInt8] = []
    /// What is sealed and not yet sent, and how much of the caller's bytes it stands for.
    private var sealed: [UInt8] = []
    private var sent = 0
    private var standsFor = 0

    init(_ below: any ClientTransport, _ layer: SASLSession) {
        self.below = below
        self.layer = layer
    }

    var descriptor: Descriptor { below.descriptor }
    var lastWords: String? { below.lastWords }

    func receive(into buffer: UnsafeMutableRawBufferPointer) -> (Descriptor.Transfer, [Descriptor]) {
        // Whoever waits for the socket must not wait for what is here already: so little is taken at a time that all
        // of it finds room, with the piece before it of which a part had come.
        var raw = [UInt8](repeating: 0, count: max(1, min(SASLSession.pieceSize, buffer.count / 2)))
        while opened.isEmpty {
            // SAFETY: the array lives for the call.
            let (transfer, _) = unsafe raw.withUnsafeMutableBytes { unsafe below.receive(into: $0) }
            guard case .moved(let count) = transfer else { return (transfer, []) }
            do throws(SASLError) {
                opened = try layer.decode(Array(raw.prefix(count)))
            } catch { return (.failed(LayeredTransport.damaged), []) }
        }
        let count = min(buffer.count, opened.count)
        // SAFETY: the buffer has room for so many.
        unsafe buffer.copyBytes(from: opened[..<count])
        opened.removeFirst(count)
        return (.moved(count), [])
    }

    /// EBADMSG.
    private static let damaged: Int32 = 74

    func send(_ buffer: UnsafeRawBufferPointer) -> Descriptor.Transfer {
        // What did not fit is tried again with the same bytes first, as with TLS.
        if sealed.isEmpty {
            let part = unsafe Array(buffer.prefix(SASLSession.pieceSize))
            do throws(SASLError) { sealed = try layer.encode(part) } catch {
                return .failed(LayeredTransport.damaged)
            }
            (sent, standsFor) = (0, part.count)
        }
        while sent < sealed.count {
            // SAFETY: the array lives for the call, and the offset is within it.
            let moved = unsafe sealed.withUnsafeBytes {
                unsafe below.send(UnsafeRawBufferPointer(rebasing: $0.dropFirst(sent)))
            }
            guard case .moved(let count) = moved else { return moved }
            sent += count
        }
        sealed = []
        return .moved(standsFor)
    }

    func pass(_ passed: Descriptor) throws(HostError) {
        throw HostError("pass a descriptor to another host", .notSupported)
    }
}
