import Execution
import HostOS
import JSON
import Machine
import Synchronization
import Testing

/// From the first exit to the process's status.
struct LifeTests {
    @Test(arguments: [BoardKind.pc, .microvm])
    func serialOutputThenPowerOff(kind: BoardKind) throws {
        try Samples.withFolder { folder in
            var configuration = Samples.configuration(kind)
            configuration.characterDevices = [
                CharacterDeviceConfiguration(
                    id: "serial0", kind: .file(path: "\(folder)/out", append: false, input: nil))
            ]
            configuration.serialPorts = ["serial0"]
            let bench = try Bench(
                configuration,
                [
                    .portWrite(port: 0x3F8, size: 1, value: 0x48), .portWrite(port: 0x3F8, size: 1, value: 0x69),
                    Samples.powerOff,
                ])

            let status = try bench.run()

            #expect(status == 0)
            #expect(try HostFile.contents("\(folder)/out") == [0x48, 0x69])
            #expect(bench.events.withLock { $0 } == [.resume, .shutdown(.guestShutdown)])
        }
    }

    @Test func resetBeginsAnewAndDebugExitGivesItsStatus() throws {
        var configuration = Samples.configuration(.pc)
        configuration.devices = [DeviceConfiguration(driver: "isa-debug-exit")]
        let bench = try Bench(
            configuration, [.portWrite(port: 0xCF9, size: 1, value: 6)], [.portWrite(port: 0x501, size: 1, value: 3)])

        let status = try bench.run()

        #expect(status == 7)
        #expect(
            bench.events.withLock { $0 } == [.resume, .reset(.guestReset), .shutdown(.guestShutdown)])
    }

    @Test func noRebootEndsAtReset() throws {
        var configuration = Samples.configuration(.microvm)
        configuration.lifecycle.reboot = .shutdown
        let bench = try Bench(configuration, [.shutdown])

        let status = try bench.run()

        #expect(status == 0)
        #expect(bench.events.withLock { $0 } == [.resume, .shutdown(.guestReset)])
    }

    @Test func tripleFaultResets() throws {
        let bench = try Bench(Samples.configuration(.microvm), [.shutdown], [Samples.powerOff])

        let status = try bench.run()

        #expect(status == 0)
        #expect(bench.first.inner.withLock { $0.resets } == 2)
    }

    @Test func noShutdownKeepsTheMachine() throws {
        var configuration = Samples.configuration(.pc)
        configuration.lifecycle.shutdown = .pause
        let bench = try Bench(configuration, [Samples.powerOff])
        _ = bench.machine.subscribe { [weak bench] event in
            guard let bench, event.kind == .stop else { return }
            bench.loop.post { [weak bench] in
                #expect(bench?.machine.runState == .shutdown)
                bench?.machine.quit(cause: .hostQuit)
            }
        }

        let status = try bench.run()

        #expect(status == 0)
        #expect(
            bench.events.withLock { $0 } == [.resume, .shutdown(.guestShutdown), .stop, .shutdown(.hostQuit)])
    }

    @Test func panicOfTheGuestIsToldAndEndsTheMachine() throws {
        var configuration = Samples.configuration(.pc)
        configuration.devices = [DeviceConfiguration(driver: "pvpanic")]
        configuration.lifecycle.panic = .exitFailure
        let bench = try Bench(configuration, [.portWrite(port: 0x505, size: 1, value: 1)])

        let status = try bench.run()

        #expect(status == 1)
        #expect(bench.events.withLock { $0 }.contains(.guestPanicked(action: .exitFailure)))
    }

    @Test func engineErrorIsAnInternalError() throws {
        let bench = try Bench(Samples.configuration(.microvm), [.error("no such thing")])
        _ = bench.machine.subscribe { [weak bench] event in
            guard let bench, event.kind == .stop else { return }
            bench.loop.post { [weak bench] in
                #expect(bench?.machine.runState == .internalError)
                #expect(throws: MachineError.self) { try bench?.machine.resume() }
                bench?.machine.quit(cause: .hostQuit)
            }
        }

        #expect(try bench.run() == 0)
    }

    @Test func stopAndResumeMeetAllProcessors() throws {
        let bench = try Bench(Samples.configuration(.microvm, processors: 4))
        bench.loop.post {
            for _ in 0..<20 {
                bench.machine.stop()
                #expect(bench.machine.runState == .paused)
                let before = bench.engine.processors.map { $0.inner.withLock { $0.runs } }
                #expect((try? bench.machine.registers(of: 3)) != nil)
                #expect(bench.engine.processors.map { $0.inner.withLock { $0.runs } } == before)
                try? bench.machine.resume()
                #expect(bench.machine.runState == .running)
            }
            bench.machine.quit(cause: .hostQuit)
        }

        #expect(try bench.run() == 0)
        #expect(bench.machine.processors.count == 4)
    }

    @Test func aMachineThatStandsIsAsNewAfterAReset() throws {
        let bench = try Bench(Samples.configuration(.microvm))
        bench.loop.post {
            bench.machine.stop()
            #expect(bench.machine.runState == .paused)
            bench.machine.reset(cause: .hostReset)
            #expect(bench.machine.runState == .prelaunch)
            bench.machine.quit(cause: .hostQuit)
        }

        #expect(try bench.run() == 0)
    }

    /// A reset is the end where the user said so, and an end is a stop where the user said that too.
    @Test func aResetThatIsAnEndIsOneForUsersToo() throws {
        var configuration = Samples.configuration(.microvm)
        (configuration.lifecycle.reboot, configuration.lifecycle.shutdown) = (.shutdown, .pause)
        let bench = try Bench(configuration)
        bench.loop.post {
            bench.machine.stop()
            bench.machine.reset(cause: .hostReset)
            #expect(bench.machine.runState == .paused)
            try? bench.machine.resume()
            bench.machine.reset(cause: .hostReset)
            #expect(bench.machine.runState == .shutdown)
            bench.machine.quit(cause: .hostQuit)
        }

        #expect(try bench.run() == 0)
        #expect(
            bench.events.withLock { $0 } == [
                .resume, .stop, .shutdown(.hostReset), .resume, .shutdown(.hostReset), .stop, .shutdown(.hostQuit),
            ])
    }

    /// libvirt hands over the files of its serial ports as descriptors.
    @Test(arguments: [true, false])
    func serialOutputGoesToADescriptorOfASet(append: Bool) throws {
        try Samples.withFolder { folder in
            try HostFile.open("\(folder)/out", HostFile.Mode.append).writeAll([0x2E])
            let file = try HostFile.open("\(folder)/out", HostFile.Mode.append)
            var configuration = Samples.configuration(.pc)
            configuration.process.descriptors = [
                PassedDescriptor(descriptor: try file.rawCopy().get(), set: 7, opaque: nil)
            ]
            configuration.characterDevices = [
                CharacterDeviceConfiguration(
                    id: "serial0", kind: .file(path: "/dev/fdset/7", append: append, input: nil))
            ]
            configuration.serialPorts = ["serial0"]
            let bench = try Bench(
                configuration, [.portWrite(port: 0x3F8, size: 1, value: 0x48), Samples.powerOff])

            #expect(try bench.run() == 0)

            #expect(try HostFile.contents("\(folder)/out") == (append ? [0x2E, 0x48] : [0x48]))
        }
    }

    @Test func startsPausedOnRequest() throws {
        var configuration = Samples.configuration(.microvm)
        configuration.lifecycle.startsPaused = true
        let bench = try Bench(configuration, [Samples.powerOff])
        bench.loop.post {
            #expect(bench.machine.runState == .prelaunch)
            #expect(bench.first.inner.withLock { $0.runs } == 0)
            try? bench.machine.resume()
        }

        #expect(try bench.run() == 0)
        #expect(bench.first.inner.withLock { $0.step } == 1)
    }
}
