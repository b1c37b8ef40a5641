//! The rules of deployment, by what is said when one is broken.

macro_rules! module_errors {
    (
        counts {$($(#[$count_doc:meta])* $count:ident: $things:literal,)*}
        others {$($(#[$doc:meta])* $variant:ident $({$($fields:tt)*})?,)*}
    ) => {
        /// The rule of deployment that a module breaks.
        #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
        pub enum ModuleError {
            $(
                $(#[$count_doc])*
                #[error("{count} {}, at most {count_max} are allowed", $things)]
                $count {
                    /// How many there are.
                    count: u32,
                    /// The limit.
                    count_max: u32,
                },
            )*
            $($(#[$doc])* $variant $({$($fields)*})?,)*
        }

        impl ModuleError {
            /// The rule's name, stable, for programs.
            #[must_use]
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$count { .. } => stringify!($count),)*
                    $(Self::$variant { .. } => stringify!($variant),)*
                }
            }
        }
    };
}

module_errors! {
    counts {
        /// Too many function types.
        TooManyTypes: "types",
        /// Too many imports.
        TooManyImports: "imports",
        /// Too many functions.
        TooManyFunctions: "functions",
        /// Too many globals.
        TooManyGlobals: "globals",
        /// Too many exports.
        TooManyExports: "exports",
        /// Too many data segments.
        TooManyDataSegments: "data segments",
        /// Too many element segments.
        TooManyElementSegments: "element segments",
        /// A table too large.
        TableTooLarge: "table entries",
        /// A memory that starts too large.
        MemoryTooLarge: "initial pages of memory",
    }
    others {
        /// Longer than any module may be.
        #[error("the module has {len} bytes, at most {len_max} are allowed")]
        TooLong {
            /// Its length.
            len: usize,
            /// The limit.
            len_max: usize,
        },
        /// Not WebAssembly 1.0.
        #[error("not a valid module: {reason} (at byte {offset})")]
        Malformed {
            /// Where.
            offset: usize,
            /// The validator's words.
            reason: String,
        },
        /// Floating-point values: their bits may differ from machine to machine.
        #[error("floating-point values are not allowed (at byte {offset})")]
        Float {
            /// Where.
            offset: usize,
        },
        /// A start function would run before anybody asked for anything.
        #[error("a start function is not allowed (function {function})")]
        StartFunction {
            /// Its index.
            function: u32,
        },
        /// Too many parameters and locals.
        #[error("function {function} has {count} parameters and locals, at most {count_max} are allowed")]
        TooManyLocals {
            /// Its index among the functions defined.
            function: u32,
            /// How many.
            count: u32,
            /// The limit.
            count_max: u32,
        },
        /// Too long a function.
        #[error("function {function} has {len} bytes, at most {len_max} are allowed")]
        FunctionTooLong {
            /// Its index among the functions defined.
            function: u32,
            /// Its length.
            len: usize,
            /// The limit.
            len_max: usize,
        },
        /// Blocks nested too deep.
        #[error("function {function} nests {depth} blocks, at most {depth_max} are allowed")]
        NestedTooDeep {
            /// Its index among the functions defined.
            function: u32,
            /// How deep.
            depth: u32,
            /// The limit.
            depth_max: u32,
        },
        /// A function that takes more of the stack than there is.
        #[error(
            "a call of function {function} takes {count} values of the stack, at most {count_max} are allowed"
        )]
        FrameTooLarge {
            /// Its index among the functions defined.
            function: u32,
            /// How many.
            count: u32,
            /// The limit.
            count_max: u32,
        },
        /// A function that is too slow to compile.
        #[error(
            "locals and operands times blocks of function {function} are {complexity}, at most {complexity_max} is allowed"
        )]
        FunctionTooComplex {
            /// Its index among the functions defined.
            function: u32,
            /// Its locals and operands times its blocks and branch targets.
            complexity: u64,
            /// The limit.
            complexity_max: u64,
        },
        /// A type of functions with too many parameters.
        #[error("a type of functions has {count} parameters, at most {count_max} are allowed")]
        TooManyParameters {
            /// How many.
            count: u32,
            /// The limit.
            count_max: u32,
        },
        /// A function with too many operands at a time.
        #[error("function {function} has {count} operands at a time, at most {count_max} are allowed")]
        TooManyOperands {
            /// Its index among the functions defined.
            function: u32,
            /// How many.
            count: u32,
            /// The limit.
            count_max: u32,
        },
        /// Too much to compile.
        #[error(
            "locals and operands times blocks add up to {complexity}, at most {complexity_max} is allowed"
        )]
        TooComplex {
            /// The sum up to the function that went over.
            complexity: u64,
            /// The limit.
            complexity_max: u64,
        },
        /// A contract that no transaction could call.
        #[error(
            "a call of it takes at least {fuel} fuel before its first instruction, and a transaction may burn at most {fuel_max}"
        )]
        TooDearToCall {
            /// What a call takes at least.
            fuel: u64,
            /// The limit.
            fuel_max: u64,
        },
        /// A function that the host does not have.
        #[error("the host has no function {module:?} {name:?}")]
        UnknownImport {
            /// The module named.
            module: String,
            /// The name.
            name: String,
        },
        /// A host function under another type than it has.
        #[error("the host function {name:?} has another type than the module wants")]
        ImportType {
            /// Its name.
            name: String,
        },
        /// An import that is not a function.
        #[error("the import {name:?} is not a function")]
        ImportNotAFunction {
            /// Its name.
            name: String,
        },
        /// An export that means nothing to the host.
        #[error("the export {name:?} is none of: init, call.NAME, view.NAME, memory, __data_end, __heap_base")]
        UnknownExport {
            /// Its name.
            name: String,
        },
        /// An export that is not what its name says.
        #[error("the export {name:?} must be {expected}")]
        ExportType {
            /// Its name.
            name: String,
            /// What it has to be.
            expected: &'static str,
        },
        /// A method under a name that no method may have.
        #[error("{name:?} is not a name for a method: letters, digits and underscores, at most {len_max}")]
        MethodName {
            /// The name.
            name: String,
            /// The limit on its length.
            len_max: u32,
        },
        /// A method that is `call` and `view` at once.
        #[error("the method {name:?} is exported as a call and as a view")]
        MethodTwice {
            /// Its name.
            name: String,
        },
        /// Data or elements outside of what they initialise.
        #[error("a segment ends at {end}, what it initialises at {end_max}")]
        SegmentOutOfBounds {
            /// The segment's end.
            end: u64,
            /// The memory's (in bytes) or table's (in entries).
            end_max: u64,
        },
        /// A segment whose place is not a constant.
        #[error("a segment's offset is not a constant")]
        SegmentOffset,
        /// More than one schema.
        #[error("there is more than one schema section")]
        SchemaTwice,
        /// Too long a schema.
        #[error("the schema has {len} bytes, at most {len_max} are allowed")]
        SchemaTooLong {
            /// Its length.
            len: usize,
            /// The limit.
            len_max: usize,
        },
        /// A schema that cannot be read.
        #[error("the schema cannot be read: {reason}")]
        SchemaMalformed {
            /// The parser's words.
            reason: String,
        },
        /// A name that stands in the schema twice.
        #[error("{name:?} stands in the schema twice")]
        SchemaNameTwice {
            /// The name, or the error code.
            name: String,
        },
        /// A method in the schema that the module does not export.
        #[error("the schema names the method {name:?}, which is not exported as such")]
        SchemaMethodMissing {
            /// Its name.
            name: String,
        },
        /// An exported method that the schema keeps silent about.
        #[error("the method {name:?} is exported, but not in the schema")]
        SchemaMethodSilent {
            /// Its name.
            name: String,
        },
    }
}
