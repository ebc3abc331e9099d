import ServerSupport
import TestSupport
import Testing

/// Templates of `-o jsonpath`, beside the real kubectl's.
@Suite("tandemctl get -o jsonpath", .serialized)
struct JSONPathTests {
    private static let service = """
        {"apiVersion":"v1","kind":"Service","metadata":{"name":"j","namespace":"default","labels":{"app.kubernetes.io/name":"j"}},
        "spec":{"type":"ClusterIP","clusterIP":"10.96.7.7","ports":[{"name":"http","port":80,"protocol":"TCP"},
        {"name":"dns","port":53,"protocol":"UDP"},{"port":443,"protocol":"TCP"}],"selector":{"a":"b"}}}
        """

    private static let templates = [
        "{.metadata.name}", "{.spec.ports[*].port}", "{.spec.ports[0].name}", "{.spec.ports[-1].port}",
        "{.spec.ports[0:2].port}", "{.spec.ports[::2].port}", "{.spec.ports[0,2].port}",
        #"{.spec.ports[?(@.name=="dns")].port}"#, "{.spec.ports[?(@.port>80)].port}",
        "{.spec.ports[?(@.port<=80)].port}", "{.spec.ports[?(@.port!=80)].port}", "{.spec.ports[?(@.name)].port}",
        #"{range .spec.ports[*]}{.name}={.port}{"\n"}{end}"#,
        "{range .spec.ports[*]}[{.port}, {.protocol}] {end}", #"{.metadata.labels.app\.kubernetes\.io/name}"#,
        "{.metadata['name','namespace']}", "{.metadata.labels}", "{.spec.ports[0]}", "{..port}", "{.spec.selector.*}",
        "{.spec['type']}", "{$.kind}/{@.metadata.name}", #"name: {.metadata.name}{'\t'}x"#, "{.none}",
        "{.spec.none.deeper}", "{ .metadata.name } { .kind }",
    ]

    @Test(
        "tandemctl applies a template to an object as kubectl does",
        .enabled(if: Command.find("kubectl") != nil, "docker/deps.sh --tests fetches kubectl"))
    func readsAsKubectl() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess("\(directory.path)/data")
        let ctl = Ctl(port: server.port)
        #expect(ctl("apply -f -", input: Self.service).status == 0)
        let kubectl = try #require(Command.find("kubectl"))
        for template in Self.templates {
            let other = Command.run(
                kubectl,
                [
                    "annotate", "--kubeconfig=/dev/null", "--local", "--dry-run=client", "-f", "-", "x=y", "-o",
                    "jsonpath=\(template)",
                ], input: Self.service)
            let own = ctl.run(["get", "svc", "j", "-o", "jsonpath=\(template)"])
            #expect(other.status == 0 && own.status == 0, "\(template): \(other.errors)\(own.errors)")
            #expect(own.output == other.output, "\(template)")
        }
    }

    @Test("a template that is none, or looks at too much, is refused with the place; without braces it is a path")
    func refuses() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess("\(directory.path)/data")
        let ctl = Ctl(port: server.port)
        #expect(ctl("apply -f -", input: Self.service).status == 0)
        #expect(ctl("get svc j -o jsonpath=.spec.clusterIP").output == "10.96.7.7")
        for (template, part) in [
            ("{.a[}", #"at "}""#), ("{range .a}x", "without its {end}"), ("{end}", "without its {range}"),
            ("{.a[b]}", #"at "b]}""#), ("{\"a", "a string without its end"), ("{.a", "no }"),
            ("{.spec.ports[?(@.name==http)]}", "string in quotes"),
            (String(repeating: "{range .a}", count: 20), "16 ranges"),
            (String(repeating: "x", count: 5_000), "4096 bytes"),
        ] {
            let result = ctl.run(["get", "svc", "j", "-o", "jsonpath=\(template)"])
            #expect(result.status == 2 && result.errors.contains(part), "\(template): \(result.errors)")
        }
        // Ranges in one another over all of it.
        let wide = ctl.run(
            [
                "get", "svc", "-o",
                "jsonpath=" + Array(repeating: "{range $..*}", count: 5).joined()
                    + Array(repeating: "{end}", count: 5).joined(),
            ])
        #expect(wide.status == 1 && wide.errors.contains("1000000 values"), "\(wide.errors)")
    }
}
