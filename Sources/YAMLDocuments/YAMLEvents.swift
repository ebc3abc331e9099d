import CYaml

/// A document as the row of events that libyaml's parser makes of it, each made when it is asked for.
///
/// `Yams` brings libyaml along. Its own tree is not used: it compares keys of mappings, however many aliases they are made of,
/// before their size can be counted.
struct YAMLEvents: ~Copyable {
    enum Event {
        case scalar(Scalar)
        case alias(String)
        case sequenceStart(anchor: String?)
        case mappingStart(anchor: String?)
        /// Of a sequence or a mapping.
        case end
        case documentStart
        case documentEnd
        case streamEnd
    }

    struct Scalar {
        var text: String
        var anchor: String?
        /// In full, such as `tag:yaml.org,2002:int`; nil where there is none.
        var tag: String?
        /// Without quotes, and no block of lines.
        var isPlain: Bool
    }

    // Proof: both are allocated in `init` and freed in `deinit`, and this value alone has them. libyaml keeps addresses of the
    // parser and of the text: neither moves meanwhile.
    private let parser: UnsafeMutablePointer<yaml_parser_t>
    private let text: UnsafeMutableBufferPointer<UInt8>
    private let colons: FlowColons
    private let firstLine: Int
    /// Where the last event began, in the whole text.
    private(set) var line: Int

    init(_ document: DocumentText) {
        parser = .allocate(capacity: 1)
        parser.initialize(to: yaml_parser_t())
        colons = FlowColons(document.bytes)
        text = .allocate(capacity: colons.bytes.count)
        _ = text.initialize(from: colons.bytes)
        firstLine = document.line
        line = document.line
        yaml_parser_initialize(parser)
        yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
        yaml_parser_set_input_string(parser, text.baseAddress, text.count)
    }

    deinit {
        yaml_parser_delete(parser)
        parser.deallocate()
        text.deallocate()
    }

    mutating func next() throws(YAMLFault) -> Event {
        while true {
            var event = yaml_event_t()
            guard yaml_parser_parse(parser, &event) == 1 else { throw fault }
            defer { yaml_event_delete(&event) }
            line = firstLine + event.start_mark.line
            switch event.type {
            case YAML_SCALAR_EVENT: return .scalar(Scalar(event, colons))
            case YAML_ALIAS_EVENT: return .alias(string(event.data.alias.anchor) ?? "")
            case YAML_SEQUENCE_START_EVENT: return .sequenceStart(anchor: string(event.data.sequence_start.anchor))
            case YAML_MAPPING_START_EVENT: return .mappingStart(anchor: string(event.data.mapping_start.anchor))
            case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT: return .end
            case YAML_DOCUMENT_START_EVENT: return .documentStart
            case YAML_DOCUMENT_END_EVENT: return .documentEnd
            case YAML_STREAM_START_EVENT: continue
            default: return .streamEnd
            }
        }
    }

    private var fault: YAMLFault {
        let problem = parser.pointee.problem.map { String(cString: $0) } ?? "no YAML"
        return YAMLFault(line: firstLine + parser.pointee.problem_mark.line, problem: problem)
    }
}

extension YAMLEvents.Scalar {
    fileprivate init(_ event: yaml_event_t, _ colons: FlowColons) {
        let scalar = event.data.scalar
        text = colons.restored(
            String(decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self))
        anchor = string(scalar.anchor)
        tag = string(scalar.tag)
        isPlain = scalar.style == YAML_PLAIN_SCALAR_STYLE
    }
}

private func string(_ text: UnsafePointer<yaml_char_t>?) -> String? { text.map { String(cString: $0) } }
