//! TypeScript without a compiler: types become blanks, so that every character that stays keeps its line and column.
//!
//! As Node does it. What has no meaning without a compiler (`enum`, `namespace` with values, parameter properties,
//! `import =`) is refused with its position. Everything else of the crate sees JavaScript: to use another stripper,
//! change [`strip`] alone.

use std::path::Path;

/// Why the types of a file could not be taken out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What was found, and what to write instead where that is known.
    pub message: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in UTF-16 units as JavaScript counts, from 1.
    pub column: u32,
}

/// Whether the name of a file says that it is TypeScript.
pub fn is_typescript(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "ts" || extension == "mts" || extension == "cts")
}

/// Takes the types out of a TypeScript source; the source of any other file is given back as it is.
///
/// # Errors
/// When the text is no TypeScript, or holds what cannot be left out.
pub fn strip(path: &Path, source: &str) -> Result<String, Diagnostic> {
    if !is_typescript(path) {
        return Ok(source.to_owned());
    }
    tsv_ts::strip(source).map(|stripped| stripped.code).map_err(|failed| diagnostic(&failed))
}

fn diagnostic(failed: &tsv_ts::StripError) -> Diagnostic {
    let mut message = failed.message();
    if let tsv_ts::StripError::Unsupported { construct, .. } = failed {
        let instead = match construct {
            tsv_ts::UnsupportedConstruct::Enum => "write a constant object",
            tsv_ts::UnsupportedConstruct::ValueNamespace => "write an object or a module",
            tsv_ts::UnsupportedConstruct::ParameterProperty => "assign the field in the constructor",
            tsv_ts::UnsupportedConstruct::ImportEquals => "write `import` or `require`",
            tsv_ts::UnsupportedConstruct::ExportEquals => "write `export default` or `module.exports`",
            tsv_ts::UnsupportedConstruct::TypeAssertion => "write `value as Type`",
            _ => "write it without the type",
        };
        message = format!("types are left out, not compiled: {message}; {instead}");
    }
    // A source beyond the size limit of the parser has no position.
    let (line, column) = failed.to_report().map_or((1, 0), |report| (report.start.line, report.start.column));
    Diagnostic { message, line, column: column.saturating_add(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(name: &str, source: &str) -> Result<String, Diagnostic> {
        strip(Path::new(name), source)
    }

    #[test]
    fn what_stays_keeps_its_line_and_column() {
        for (source, wanted) in [
            ("const a: number = 1;", "const a         = 1;"),
            ("interface A {\n  b: string\n}\nlet c = {} as A;", "             \n           \n \nlet c = {}     ;"),
            (
                "import type { A } from './a';\nimport { type B, c } from './b';",
                "                             \nimport {         c } from './b';",
            ),
            ("export default { apps: [] } satisfies Config;", "export default { apps: [] }                 ;"),
            (
                "function f<T>(this: X, é: T, b?: string): T { return é!; }",
                "function f   (         é   , b         )    { return é ; }",
            ),
        ] {
            assert_eq!(stripped("a.ts", source).as_deref(), Ok(wanted), "{source}");
        }
    }

    #[test]
    fn only_typescript_is_touched() {
        assert_eq!(stripped("a.js", "let a: b").as_deref(), Ok("let a: b"));
        for name in ["a.mts", "a.cts"] {
            assert_eq!(stripped(name, "let a: b").as_deref(), Ok("let a   "), "{name}");
        }
    }

    /// Pieces of which files are made, some with types, some without, some broken.
    const PIECES: &[&str] = &[
        "const a: number = 1;\n",
        "type T<U> = { [K in keyof U]?: U[K] };\n",
        "let é = (x: any): x is string => x!;\n",
        "interface I extends J<string> { m(): void }\n",
        "class C<T> implements I { private readonly x?: T = null as T; }\n",
        "export default { apps: [] } satisfies X;\n",
        "import type { A } from 'a';\n",
        "function f(a: string): void;\n",
        "if (a) type Y = 1;\n",
        "`${a as string}`",
        "(((",
        "<T>",
        "'",
        "/*",
        "enum E {}\n",
        "\r\n",
        "\u{2028}",
        "async <T,>(x: T) =>\n",
        "abstract ",
        "declare module 'x' { }\n",
        "a\n?.b!\n",
        "😀",
    ];

    proptest::proptest! {
        #[test]
        fn nothing_moves_and_nothing_panics(picks in proptest::collection::vec(0..PIECES.len(), 0..12)) {
            let source: String = picks.iter().map(|at| PIECES[*at]).collect();
            if let Ok(code) = stripped("a.ts", &source) {
                let units = |text: &str| text.encode_utf16().collect::<Vec<_>>();
                let (before, after) = (units(&source), units(&code));
                proptest::prop_assert_eq!(before.len(), after.len());
                let allowed = |unit: u16| unit == u16::from(b' ') || b";()".contains(&(unit.min(255) as u8));
                proptest::prop_assert!(before.iter().zip(&after).all(|(old, new)| old == new || allowed(*new)), "{}", code);
            }
        }
    }

    #[test]
    fn what_needs_a_compiler_is_refused_where_it_stands() {
        let found = stripped("a.ts", "const ä = 1;\n/*é*/ enum Mode { Dev }").expect_err("an enum");
        assert_eq!((found.line, found.column), (2, 7));
        assert_eq!(found.message, "types are left out, not compiled: cannot strip an enum; write a constant object");
        let found = stripped("a.ts", "class A {\n  constructor(private b: string) {}\n}").expect_err("a property");
        assert_eq!((found.line, found.column), (2, 15));
        let found = stripped("a.ts", "const a = {\n  b: 1\n  c: 2\n};").expect_err("no comma");
        assert_eq!((found.line, found.column), (3, 3));
    }
}
