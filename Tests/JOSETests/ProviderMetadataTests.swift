// Metadata of issuers: two members count, and a document that is read in two ways is none.
import JOSE
import Testing

struct ProviderMetadataTests {
    @Test func `issuer and jwks_uri are read`() {
        let text = """
            {"authorization_endpoint":"x","jwks_uri":"https:\\/\\/a\\/k","scopes_supported":["a",{"issuer":"nested"}],"issuer":"https://a"}
            """
        let metadata = ProviderMetadata(Array(text.utf8))
        #expect(metadata?.issuer == "https://a" && metadata?.keys == "https://a/k")
    }

    @Test(arguments: [
        "", "[]", "{}", "{\"issuer\":\"a\"}", "{\"jwks_uri\":\"a\"}", "{\"issuer\":1,\"jwks_uri\":\"a\"}",
        "{\"issuer\":\"a\",\"jwks_uri\":null}", "{\"issuer\":\"a\",\"issuer\":\"b\",\"jwks_uri\":\"c\"}",
        "{\"issuer\":\"a\",\"jwks_uri\":\"c\"} x", "<html></html>",
    ])
    func `what is none is refused`(text: String) { #expect(ProviderMetadata(Array(text.utf8)) == nil) }
}
