//! Imports a lackey log: `import_lackey LOG OUT.pwt [LEVEL]`, with `-` for standard input.

use std::error::Error;
use std::fs::File;
use std::io::{self, Read};

use pagewalk_trace::{TraceWriter, decompress, import_lackey};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [_, log, out, level @ ..] = args.as_slice() else {
        return Err("usage: import_lackey LOG OUT.pwt [LEVEL]".into());
    };
    let level = level.first().map_or(Ok(3), |level| level.parse())?;
    let input: Box<dyn Read> = if log == "-" { Box::new(io::stdin()) } else { Box::new(File::open(log)?) };
    let mut writer = TraceWriter::create(out, level)?;
    import_lackey(decompress(input)?, log, &mut writer)?;
    println!("{:#?}", writer.finish()?);
    Ok(())
}
