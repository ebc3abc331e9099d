import FaultyLog
import Ledger
import Measures
import TandemAPI
import TestSupport
import Testing

@testable import IPAM

@Suite("The engine when storage is behind")
struct OverloadTests {
    @Test(
        "changes are refused before any work is done for them, the rest is answered, and all is well once there is room"
    )
    func refusesEarly() throws {
        // Its clock stands: how many wait is all that decides.
        var environment = Environment.system
        environment.moment = { Moment(nanoseconds: 0) }
        let engine = try Engine(cluster: .small, log: FaultyLog(), environment: environment, stepsByHand: true)
        let harness = EngineHarness(engine)
        func reason(_ method: TandemAPI.Method, _ params: JSONValue) -> String {
            let log = Noted<String>()
            harness.begin(method, params) { result in
                switch result {
                case .success: log.add("ok")
                case .failure(let error): log.add(error.reason + (error.isRetryable ? ", retryable" : ""))
                }
            }
            return log.all.first ?? "waits"
        }
        func service(_ policy: String) -> JSONValue {
            ["metadata": ["name": "web"], "spec": ["ipFamilyPolicy": .string(policy)]]
        }
        for _ in 0..<JournalLimits.maximumQueue / 2 { engine.journal.submit(Proposal()) { _ in true } }
        #expect(!engine.journal.isCongested())
        #expect(reason(.allocateServiceIPs, ["service": service("RequireDualStack")]) == "QueueFull, retryable")
        // The call is neither validated any more, nor is an address taken for it.
        #expect(reason(.allocateServiceIPs, ["service": service("nonsense")]) == "QueueFull, retryable")
        #expect(reason(.release, ["service": ["metadata": ["name": "web"]]]) == "QueueFull, retryable")
        #expect(reason(.allocateServiceIPs, ["service": service("RequireDualStack"), "dryRun": true]) == "ok")
        #expect(reason(.getPools, [:]) == "ok")
        #expect(engine.poolStatuses().allSatisfy { $0.allocated == 0 })

        engine.journal.step()
        #expect(reason(.allocateServiceIPs, ["service": service("RequireDualStack")]) == "waits")
        engine.journal.stop()
        #expect(engine.poolStatuses().count { $0.allocated == 1 } == 2)
    }
}
