// docs/configuration.md is what the table says; `UPDATE_GOLDEN=1` writes it.
import Configuration
import Foundation
import Testing

struct ReferenceTests {
    @Test func pageIsWhatTheTableSays() throws {
        let url = Fixture.repository.appending(path: "docs/configuration.md")
        let page = try #require(DirectiveTable.reference())
        if Fixture.isUpdating { try page.write(to: url, atomically: true, encoding: .utf8) }
        #expect(try String(contentsOf: url, encoding: .utf8) == page)
    }

    @Test func oneDirective() throws {
        let text = try #require(DirectiveTable.reference("keepalive_timeout"))
        #expect(text.contains("in `main`, `server`, `location`") && text.contains("in `upstream`"))
        #expect(
            text.contains("Default: `keepalive_timeout 75s;`") && text.contains("Default: `keepalive_timeout 60s;`"))
        #expect(DirectiveTable.reference("no_such_directive") == nil)
    }
}
