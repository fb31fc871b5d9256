internal import VirtQueue

extension VirtQueue {
    /// Takes buffers until there are none (or `limit` were taken), gives each to `body`, returns it with the number
    /// of bytes that `body` has written, and interrupts the driver where it wants that. A malformed ring makes a
    /// device that needs reset. Returns true where the limit ended it. The caller holds the device's lock.
    func process(
        _ index: Int, _ interrupt: VirtioInterrupt, _ chain: DescriptorChain, limit: Int = Int.max,
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
