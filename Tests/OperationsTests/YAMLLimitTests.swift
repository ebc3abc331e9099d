import Foundation
import ServerSupport
import TestSupport
import Testing

/// The real programs with files that stand for more than they hold, and with files that are odd but right.
@Suite("YAML of the programs")
struct YAMLLimitTests {
    /// 343 bytes that stand for nine to the ninth elements; they held either program for minutes.
    private static let bomb =
        "a: &a [x,x,x,x,x,x,x,x,x]\n"
        + zip("bcdefghi", "abcdefgh").map { name, other in
            "\(name): &\(name) [\(Array(repeating: "*\(other)", count: 9).joined(separator: ","))]\n"
        }.joined()

    @Test(
        "is refused at once by tandemctl apply and by tandemd --config",
        arguments: [
            (bomb, "excessive aliasing"), ("a: &a [*a]\n", "the alias *a leads into itself"),
            ("[", "Maximum nesting level"), ("- ", "more than 64 deep"),
        ])
    func refuses(_ content: String, _ problem: String) throws {
        let text = content.utf8.count > 2 ? content : String(repeating: content, count: 100_000)
        let directory = ScratchDirectory()
        let file = "\(directory.path)/file.yaml"
        try text.write(toFile: file, atomically: true, encoding: .utf8)
        let clock = ContinuousClock()
        let start = clock.now
        // No server is there: nothing is asked of one.
        let applied = Command.run(
            ServerProcess.program("tandemctl"),
            ["apply", "-f", file, "--server", "127.0.0.1:1", "--ca-file", Certificates.shared.ca])
        #expect(applied.status == 2)
        #expect(applied.errors.contains(problem), "\(applied.errors.prefix(300))")
        let configured = Command.run(
            ServerProcess.program, ["--config=\(file)", "--check-config", "--data-dir=\(directory.path)"],
            processorSeconds: 60)
        #expect(configured.status == 1)
        #expect(configured.errors.contains(problem), "\(configured.errors.prefix(300))")
        #expect(applied.errors.utf8.count < 1_000 && configured.errors.utf8.count < 1_000)
        #expect(clock.now - start < .seconds(30))
    }

    /// The end of `tandemd --check-config` with a file of such content.
    private func check(_ content: String) throws -> Command.Result {
        let directory = ScratchDirectory()
        let file = "\(directory.path)/tandem.yaml"
        try content.write(toFile: file, atomically: true, encoding: .utf8)
        return Command.run(
            ServerProcess.program,
            ServerProcess.tls + ServerProcess.ranges
                + ["--config=\(file)", "--check-config", "--data-dir=\(directory.path)"], processorSeconds: 60)
    }

    @Test("the settings are one document, empty ones and a byte order mark aside")
    func countsDocuments() throws {
        for content in [
            "secure-port: 9443\n---\n", "---\n---\nsecure-port: 9443\n...\n---\n# nothing\n",
            "\u{FEFF}secure-port: 9443\n",
        ] {
            let result = try check(content)
            #expect(result.output.contains("secure-port: \"9443\""), "\(content) \(result.errors)")
        }
        #expect(try check("---\n---\n").status == 0)
        let two = try check("secure-port: 9443\n---\nsecure-port: 9444\n")
        #expect(two.status == 1)
        #expect(two.errors.contains("more than one document"))
    }

    @Test("settings are read as kubectl reads values: merged, of every base, in any encoding")
    func readsAsKubectl() throws {
        for content in [
            "secure-port: 0x24E3\n", "secure-port: 022343\n", "secure-port: 9_443\n", "<<: {secure-port: 9443}\n",
            "secure-port: 1\nsecure-port: 9443\n", "{\"secure-port\": 9443}",
        ] {
            let result = try check(content)
            #expect(result.output.contains("secure-port: \"9443\""), "\(content) \(result.errors)")
        }
        #expect(try check("auto-register-nodes: n\n").output.contains("auto-register-nodes: \"false\""))
    }

    @Test("a setting's name of combining marks is refused at once")
    func refusesLongNames() throws {
        let result = try check("? \"e\(String(repeating: "\u{301}\u{323}", count: 400_000))\"\n: 1\n")
        #expect(result.status == 1)
        #expect(result.errors.contains("no such setting"), "\(result.errors.prefix(300))")
        #expect(result.errors.utf8.count < 300)
    }

    @Test("a byte order mark leaves a manifest's JSON JSON")
    func readsMarkedJSON() {
        // libyaml refuses the pair of escapes.
        let manifest = "\u{FEFF}" + #"{"kind": "Service", "metadata": {"name": "\ud83d\ude00"}}"#
        let result = Command.run(
            ServerProcess.program("tandemctl"),
            ["apply", "-f", "-", "--server", "127.0.0.1:1", "--ca-file", Certificates.shared.ca], input: manifest)
        #expect(result.status != 0)
        #expect(!result.errors.contains("neither YAML nor JSON"), "\(result.errors.prefix(300))")
    }
}
