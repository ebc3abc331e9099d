import Foundation
import ServerSupport
import TandemAPI
import TestSupport
import Testing

@Suite("OpenRPC", .serialized)
struct OpenRPCTests {
    @Test("the document is one by OpenRPC's meta-schema, and describes every method with an example")
    func isValid() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path)
        let document = try #require(Curl(port: server.port, role: nil).request("/openrpc.json").json)
        #expect(try LineStream(port: server.port, role: nil).call(.discover)?["result"] == document)
        #expect(MetaSchema.faults(document) == [])
        let methods = document["methods"]?.arrayValue ?? []
        #expect(methods.compactMap { $0["name"]?.stringValue } == TandemAPI.Method.allCases.map(\.rawValue))
        for method in methods { #expect(method["examples"]?.arrayValue?.isEmpty == false, "\(method["name"] ?? "")") }
        #expect(server.stop() == 0)
    }

    @Test("violations of the meta-schema are found")
    func findsFaults() {
        func faults(_ change: (inout [(String, JSONValue)]) -> Void) -> [String] {
            var method: [(String, JSONValue)] = [
                ("name", "M"), ("params", []), ("result", ["name": "r", "schema": [:]]),
            ]
            change(&method)
            let object = try! JSONValue(
                parsing: "{" + method.map { "\"\($0)\":\($1.text.description)" }.joined(separator: ",") + "}")
            return MetaSchema.faults(["openrpc": "1.3.2", "info": ["title": "t", "version": "1"], "methods": [object]])
        }
        #expect(faults { _ in } == [])
        #expect(faults { $0.removeLast() } == ["methods[0]: result is missing"])
        #expect(faults { $0.append(("color", "red")) } == ["methods[0]: color is no member"])
        #expect(
            faults { $0.append(("paramStructure", "sideways")) } == [
                "methods[0].paramStructure: is none of by-position, by-name, either"
            ])
        #expect(
            faults { $0.append(("examples", [["name": "e", "params": []]])) } == [
                "methods[0].examples[0]: result is missing"
            ])
        #expect(
            faults { $0.append(("errors", [["code": "x", "message": "m"]])) } == [
                "methods[0].errors[0].code: is no integer"
            ])
        #expect(
            faults { $0[1].1 = [["name": "p", "schema": ["$ref": "#/components/schemas/X"]]] } == [
                "#/components/schemas/X: names nothing"
            ])
        #expect(
            faults { $0[1].1 = [["name": "p", "schema": ["type": "strin"]]] } == [
                "methods[0].params[0].schema.type: is no type"
            ])
    }

    @Test("each example, made of a real server in the document's order, is answered as it says and as its schema says")
    func replaysExamples() throws {
        let directory = ScratchDirectory()
        let server = try ServerProcess(directory.path)
        let stream = try LineStream(port: server.port)
        let document = try #require(stream.call(.discover)?["result"])
        for method in document["methods"]?.arrayValue ?? [] {
            let name = try #require(method["name"]?.stringValue)
            for example in method["examples"]?.arrayValue ?? [] {
                let members = (example["params"]?.arrayValue ?? []).map {
                    ($0["name"]?.stringValue ?? "", $0["value"] ?? .null)
                }
                let params = "{" + members.map { "\"\($0)\":\($1.text.description)" }.joined(separator: ",") + "}"
                stream.send(#"{"jsonrpc":"2.0","id":1,"method":"\#(name)","params":\#(params)}"#)
                let answer = stream.receive()
                let result = try #require(answer?["result"], "\(name): \(answer?.text.description ?? "")")
                let expected = try #require(example["result"]?["value"])
                #expect(shows(result, expected), "\(name) answers \(result.text), not \(expected.text)")
                // No schema names a member that no example has.
                for (member, value) in members {
                    let parameter = method["params"]?.arrayValue?.first { $0["name"]?.stringValue == member }
                    let schema = try #require(parameter?["schema"], "\(name) has no param \(member)")
                    #expect(MetaSchema.faults(value, by: schema, in: document) == [], "\(name) \(member)")
                }
                let schema = try #require(method["result"]?["schema"])
                #expect(MetaSchema.faults(result, by: schema, in: document) == [], "\(name)")
            }
        }
        #expect(server.stop() == 0)
    }

    /// Whether `actual` has everything that `expected` has; lists member by member.
    private func shows(_ actual: JSONValue, _ expected: JSONValue) -> Bool {
        if let members = expected.objectValue?.members {
            return members.allSatisfy { name, value in actual[name].map { shows($0, value) } ?? false }
        }
        if let list = expected.arrayValue {
            guard let other = actual.arrayValue, other.count == list.count else { return false }
            return zip(other, list).allSatisfy(shows)
        }
        return actual == expected
    }
}

/// The rules of OpenRPC's meta-schema (1.3) for a document, as far as this project's documents could break it; and those that JSON
/// Schema has for a value, for the words that they use.
enum MetaSchema {
    private struct Form {
        var required: Set<String> = []
        var optional: Set<String> = []
    }

    private static let forms: [String: Form] = [
        "document": Form(
            required: ["openrpc", "info", "methods"], optional: ["servers", "components", "externalDocs"]),
        "info": Form(
            required: ["title", "version"], optional: ["description", "termsOfService", "contact", "license"]),
        "license": Form(optional: ["name", "url"]),
        "method": Form(
            required: ["name", "params", "result"],
            optional: [
                "description", "summary", "tags", "paramStructure", "errors", "links", "examples", "deprecated",
                "externalDocs", "servers",
            ]),
        "content": Form(required: ["name", "schema"], optional: ["description", "summary", "required", "deprecated"]),
        "error": Form(required: ["code", "message"], optional: ["data"]),
        "example": Form(required: ["name", "value"], optional: ["summary", "description"]),
        "pairing": Form(required: ["name", "params", "result"], optional: ["description"]),
        "components": Form(
            optional: ["schemas", "links", "errors", "examples", "examplePairings", "contentDescriptors", "tags"]),
    ]

    static func faults(_ document: JSONValue) -> [String] {
        var faults = form(document, "document", "document")
        if !["1.3.0", "1.3.1", "1.3.2", "1.2.6"].contains(document["openrpc"]) {
            faults.append("openrpc: is no version")
        }
        if let info = document["info"] {
            faults += form(info, "info", "info")
            faults += strings(info, ["title", "version", "description"], "info")
            if let license = info["license"] { faults += form(license, "license", "info.license") }
        }
        if let components = document["components"] { faults += form(components, "components", "components") }
        for (name, schema) in document["components"]?["schemas"]?.objectValue?.members ?? [] {
            faults += self.schema(schema, "components.schemas.\(name)", document)
        }
        let methods = document["methods"]?.arrayValue ?? []
        let names = methods.compactMap { $0["name"]?.stringValue }
        if Set(names).count != methods.count { faults.append("methods: two have one name, or one has none") }
        for (index, method) in methods.enumerated() {
            faults += self.method(method, "methods[\(index)]", document)
        }
        return faults
    }

    private static func method(_ method: JSONValue, _ place: String, _ document: JSONValue) -> [String] {
        var faults = form(method, "method", place) + strings(method, ["name", "summary", "description"], place)
        if let structure = method["paramStructure"], !["by-position", "by-name", "either"].contains(structure) {
            faults.append("\(place).paramStructure: is none of by-position, by-name, either")
        }
        for (index, param) in (method["params"]?.arrayValue ?? []).enumerated() {
            faults += content(param, "\(place).params[\(index)]", document)
        }
        if let result = method["result"] { faults += content(result, "\(place).result", document) }
        for (index, error) in (method["errors"]?.arrayValue ?? []).enumerated() {
            faults += form(error, "error", "\(place).errors[\(index)]")
            if error["code"]?.intValue == nil { faults.append("\(place).errors[\(index)].code: is no integer") }
            faults += strings(error, ["message"], "\(place).errors[\(index)]")
        }
        for (index, example) in (method["examples"]?.arrayValue ?? []).enumerated() {
            let place = "\(place).examples[\(index)]"
            faults += form(example, "pairing", place) + strings(example, ["name"], place)
            for (index, param) in (example["params"]?.arrayValue ?? []).enumerated() {
                faults += form(param, "example", "\(place).params[\(index)]")
            }
            if let result = example["result"] { faults += form(result, "example", "\(place).result") }
        }
        return faults
    }

    private static func content(_ content: JSONValue, _ place: String, _ document: JSONValue) -> [String] {
        var faults = form(content, "content", place) + strings(content, ["name", "summary", "description"], place)
        if let required = content["required"], required.boolValue == nil {
            faults.append("\(place).required: is no boolean")
        }
        if let schema = content["schema"] { faults += self.schema(schema, "\(place).schema", document) }
        return faults
    }

    private static func form(_ value: JSONValue, _ name: String, _ place: String) -> [String] {
        guard let form = forms[name], let members = value.objectValue?.members else {
            return ["\(place): is no object"]
        }
        let names = Set(members.map(\.name))
        return form.required.subtracting(names).sorted().map { "\(place): \($0) is missing" }
            + names.subtracting(form.required).subtracting(form.optional).filter { !$0.hasPrefix("x-") }.sorted()
            .map { "\(place): \($0) is no member" }
    }

    private static func strings(_ value: JSONValue, _ names: [String], _ place: String) -> [String] {
        names.filter { value[$0] != nil && value[$0]?.stringValue?.isEmpty != false }.map {
            "\(place).\($0): is no text"
        }
    }

    // MARK: JSON Schema, draft 7

    private static let types = ["object", "array", "string", "integer", "number", "boolean", "null"]

    private static func schema(_ schema: JSONValue, _ place: String, _ document: JSONValue) -> [String] {
        guard let members = schema.objectValue?.members else { return ["\(place): is no schema"] }
        var faults: [String] = []
        for (word, value) in members {
            switch word {
            case "$ref":
                if resolve(value.stringValue ?? "", document) == nil {
                    faults.append("\(value.stringValue ?? ""): names nothing")
                }
            case "type":
                if !types.contains(value.stringValue ?? "") { faults.append("\(place).type: is no type") }
            case "properties":
                for (name, inner) in value.objectValue?.members ?? [] {
                    faults += self.schema(inner, "\(place).properties.\(name)", document)
                }
            case "items": faults += self.schema(value, "\(place).items", document)
            case "required", "enum":
                if value.arrayValue == nil { faults.append("\(place).\(word): is no list") }
            case "additionalProperties":
                if value.boolValue == nil { faults.append("\(place).\(word): is no boolean") }
            case "minimum", "maximum":
                if value.intValue == nil { faults.append("\(place).\(word): is no number") }
            case "pattern", "format", "description", "const", "default": break
            default: faults.append("\(place).\(word): is no word that this check knows")
            }
        }
        return faults
    }

    private static func resolve(_ reference: String, _ document: JSONValue) -> JSONValue? {
        guard reference.hasPrefix("#/") else { return nil }
        return reference.dropFirst(2).split(separator: "/").reduce(document as JSONValue?) { $0?[String($1)] }
    }

    /// Why a value is not as a schema of the document says.
    static func faults(_ value: JSONValue, by schema: JSONValue, in document: JSONValue, at place: String = "value")
        -> [String]
    {
        if let reference = schema["$ref"]?.stringValue {
            return resolve(reference, document).map { faults(value, by: $0, in: document, at: place) } ?? [
                "\(reference): names nothing"
            ]
        }
        var found: [String] = []
        let isOfType: Bool =
            switch schema["type"]?.stringValue {
            case "object": value.objectValue != nil
            case "array": value.arrayValue != nil
            case "string": value.stringValue != nil
            case "integer": value.intValue != nil
            case "boolean": value.boolValue != nil
            default: true
            }
        if !isOfType { found.append("\(place): is no \(schema["type"]?.stringValue ?? "")") }
        if let values = schema["enum"]?.arrayValue, !values.contains(value) {
            found.append("\(place): is none of its values")
        }
        if let constant = schema["const"], constant != value { found.append("\(place): is not \(constant.text)") }
        if let pattern = schema["pattern"]?.stringValue, let text = value.stringValue,
            text.range(of: pattern, options: .regularExpression) == nil
        {
            found.append("\(place): does not match \(pattern)")
        }
        for name in schema["required"]?.arrayValue?.compactMap(\.stringValue) ?? [] where value[name] == nil {
            found.append("\(place): \(name) is missing")
        }
        for (name, inner) in value.objectValue?.members ?? [] {
            if let property = schema["properties"]?[name] {
                found += faults(inner, by: property, in: document, at: "\(place).\(name)")
            } else if schema["additionalProperties"] == false {
                found.append("\(place): \(name) is no member")
            }
        }
        for (index, inner) in (value.arrayValue ?? []).enumerated() {
            if let items = schema["items"] { found += faults(inner, by: items, in: document, at: "\(place)[\(index)]") }
        }
        return found
    }
}
