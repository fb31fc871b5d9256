internal import DeviceModel
import Synchronization

// The legacy window. virtio 1.2, 4.1.4.8, and 2.7.2 for the layout of its rings: one page-aligned run of memory with
// the used ring on a page of its own.
extension VirtioPCI {
    private enum Legacy {
        static let deviceFeatures: UInt64 = 0
        static let driverFeatures: UInt64 = 4
        static let queueAddress: UInt64 = 8
        static let queueSize: UInt64 = 12
        static let queueSelect: UInt64 = 14
        static let queueNotify: UInt64 = 16
        static let status: UInt64 = 18
        static let isr: UInt64 = 19
        static let configurationVector: UInt64 = 20
        static let queueVector: UInt64 = 22
    }

    /// Where legacy drivers ring, for all queues.
    static let legacyNotifyOffset: UInt64 = 16

    /// The two vector registers are there only while MSI-X is on; the configuration moves behind them.
    static func legacyConfigurationOffset(hasMSIX: Bool) -> UInt64 { hasMSIX ? 24 : 20 }

    func readLegacy(offset: UInt64, size: Int) -> UInt64 {
        let hasMSIX = function.isMSIXEnabled
        let base = Self.legacyConfigurationOffset(hasMSIX: hasMSIX)
        if offset >= base {
            return UInt64(device.readConfiguration(offset: Int(offset - base), size: min(size, 4)))
        }
        switch offset {
        case Legacy.deviceFeatures: return UInt64(core.deviceFeatures(0))
        case Legacy.status: return UInt64(core.status)
        case Legacy.isr: return UInt64(core.interrupt.takeISR())
        case Legacy.configurationVector: return UInt64(core.interrupt.configurationVector)
        default: break
        }
        return core.state.withLock { state in
            switch offset {
            case Legacy.driverFeatures: return state.driverFeatures & 0xFFFF_FFFF
            case Legacy.queueAddress:
                guard let queue = core.selected(state), queue.isEnabled else { return 0 }
                return queue.descriptors >> 12
            // A legacy driver cannot choose a size: it is always the largest.
            case Legacy.queueSize:
                return state.queueSelect < UInt32(core.queueSizes.count)
                    ? UInt64(core.queueSizes[Int(state.queueSelect)]) : 0
            case Legacy.queueSelect: return UInt64(state.queueSelect)
            case Legacy.queueVector: return UInt64(core.interrupt.vector(ofQueue: Int(state.queueSelect)))
            default: return 0
            }
        }
    }

    func writeLegacy(offset: UInt64, size: Int, value: UInt64) {
        let hasMSIX = function.isMSIXEnabled
        let base = Self.legacyConfigurationOffset(hasMSIX: hasMSIX)
        let word = UInt32(truncatingIfNeeded: value)
        if offset >= base {
            device.writeConfiguration(offset: Int(offset - base), size: min(size, 4), value: word)
            return
        }
        switch offset {
        case Legacy.queueNotify: core.notify(UInt64(word & 0xFFFF))
        case Legacy.status: core.writeStatus(UInt8(truncatingIfNeeded: word))
        case Legacy.configurationVector: core.interrupt.setConfigurationVector(usable(word))
        case Legacy.queueAddress:
            let mustReset = core.state.withLock { state in
                if word == 0 && state.isActive { return true }
                setLegacyQueue(UInt64(word) << 12, &state)
                return false
            }
            // Giving up a queue in use is, as old drivers mean it, giving up the device.
            if mustReset { core.reset() }
        default:
            core.state.withLock { state in
                switch offset {
                case Legacy.driverFeatures:
                    core.setDriverFeatures(0, word & core.deviceFeatures(0), &state)
                    core.setDriverFeatures(1, 0, &state)
                case Legacy.queueSelect: state.queueSelect = word & 0xFFFF
                case Legacy.queueVector:
                    core.interrupt.setVector(usable(word), ofQueue: Int(state.queueSelect))
                default: break
                }
            }
        }
    }

    private func setLegacyQueue(_ address: UInt64, _ state: inout VirtioCore.State) {
        let index = Int(state.queueSelect)
        guard core.queueSizes.indices.contains(index) else { return }
        let size = UInt64(core.queueSizes[index])
        core.changeQueue(&state) { queue in
            queue.isEnabled = address != 0
            queue.size = UInt16(size)
            queue.descriptors = address
            queue.driver = address + size * 16
            queue.device = (queue.driver + 4 + size * 2 + 2 + 4095) & ~4095
        }
    }
}
