internal import VirtQueue

extension VirtQueue {
    /// Buffers that one turn of a device takes.
    static let turnLimit = 256

    /// Takes buffers until there are none (or `limit` were taken), gives each to `body`, returns it with the number
    /// of bytes that `body` has written, and interrupts the driver where it wants that. A malformed ring makes a
    /// device that needs reset. Returns true where the limit ended it: the caller, which holds the device's lock, lets
    /// go of it before it goes on, as a driver that adds buffers without end must not keep others from the lock.
    func process(
        _ index: Int, _ interrupt: VirtioInterrupt, _ chain: DescriptorChain, limit: Int = turnLimit,
        _ body: (DescriptorChain) -> Int
    ) -> Bool {
        var count = 0
        var stopped = false
        do throws(VirtQueueError) {
            disableNotifications()
            repeat {
                while count < limit, try pop(into: chain) {
                    count += 1
                    push(chain, written: body(chain))
                }
                if count >= limit {
                    stopped = true
                    break
                }
            } while enableNotifications()
        } catch {
            interrupt.setNeedsReset()
        }
        if needsInterrupt() { interrupt.signalQueue(index) }
        return stopped
    }
}
