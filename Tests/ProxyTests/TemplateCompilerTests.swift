// Templates as steps: which pieces become one copy, and which fields may be left out.
import Configuration
import Testing

@testable import Proxy

private func field(_ name: String, _ pieces: Template.Piece...) -> FieldTemplate {
    FieldTemplate(name: name, value: Template(pieces))
}
private func text(_ text: String) -> Template.Piece { .text(Array(text.utf8)) }

extension TemplateCompiler {
    /// The steps of a program in words.
    fileprivate func words(_ program: ProgramRange) -> [String] {
        steps[Int(program.start)..<Int(program.start + program.count)].map { step in
            let bytes = text[Int(step.start)..<Int(step.start + step.count)]
            return bytes.isEmpty ? "\(step.kind)" : "\(step.kind) \(String(decoding: bytes, as: UTF8.self))"
        }
    }
}

struct TemplateCompilerTests {
    @Test func `neighbouring literals are one copy`() {
        var compiler = TemplateCompiler()
        compiler.hostname = "box"
        let program = compiler.program {
            $0.template(Template([text("a"), text("b"), .variable(.hostname), .variable(.status), text("c")]))
        }
        #expect(compiler.words(program) == ["text abbox", "status", "text c"])
    }

    @Test func `literals of two programs stay apart`() {
        var compiler = TemplateCompiler()
        let first = compiler.program { $0.literal(Array("one".utf8)) }
        let second = compiler.program { $0.literal(Array("two".utf8)) }
        #expect(compiler.words(first) == ["text one"] && compiler.words(second) == ["text two"])
    }

    @Test func `literals with something between them stay apart`() {
        var compiler = TemplateCompiler()
        let program = compiler.program {
            $0.template(Template([text("a"), .variable(.requestField(Array("x-a".utf8))), text("b")]))
        }
        #expect(compiler.words(program) == ["text a", "requestField x-a", "text b"])
    }

    @Test func `a field that is always there is text and values alone`() {
        var compiler = TemplateCompiler()
        let program = compiler.program {
            $0.field(field("X-For", .variable(.remoteAddress)))
            $0.field(field("X-Name", text("gateway")))
        }
        #expect(
            compiler.words(program) == ["text X-For: ", "remoteAddress", "text \r\nX-Name: gateway\r\n"])
    }

    @Test(arguments: [
        Variable.args, .contentType, .authSubject, .requestField(Array("x-a".utf8)), .cookie(Array("c".utf8)), .host,
        .httpHost,
    ])
    func `a field whose value may turn out empty can be left out`(variable: Variable) {
        var compiler = TemplateCompiler()
        let program = compiler.program { $0.field(field("X", .variable(variable))) }
        let words = compiler.words(program)
        #expect(words.first == "fieldStart X: " && words.last == "fieldEnd" && words.count == 3)
    }

    @Test func `a field without a value is not there at all`() {
        var compiler = TemplateCompiler()
        let program = compiler.program { $0.field(field("X")) }
        #expect(program.isEmpty)
    }

    @Test func `fields that can be left out do not swallow their neighbours`() {
        var compiler = TemplateCompiler()
        let program = compiler.program {
            $0.field(field("A", text("1")))
            $0.field(field("B", .variable(.args)))
            $0.field(field("C", text("2")))
        }
        #expect(
            compiler.words(program) == [
                "text A: 1\r\n", "fieldStart B: ", "args", "fieldEnd", "text C: 2\r\n",
            ])
    }

    @Test func `names of the process are fixed when the configuration is compiled`() {
        var compiler = TemplateCompiler()
        compiler.processID = "4711"
        compiler.proxyHost = "group"
        let program = compiler.program {
            $0.template(Template([.variable(.processID), text("@"), .variable(.proxyHost)]))
        }
        #expect(compiler.words(program) == ["text 4711@group"])
    }
}
