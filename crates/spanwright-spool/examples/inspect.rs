//! Looks at a spool's directory, also while it is in use: `cargo run -p spanwright-spool --example inspect -- DIR`.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use spanwright_core::{Clock, SystemClock};
use spanwright_spool::{DiskFs, InspectedSegment, Inspection, SegmentState, export, inspect};

const HELP: &str = "\
Looks at a spool's directory and changes nothing in it. It may be in use.

Usage: inspect DIR [--verify] [--export FILE]

  --verify        compute every checksum, not only follow the headers
  --export FILE   write every pending request to FILE: its length in four bytes, big-endian, then its bytes
                  (for OTLP: ExportTraceServiceRequest messages)

Exit code: 0 all is well, 1 something is damaged, 2 it could not be done.
";

const DAMAGED: u8 = 1;
const FAILED: u8 = 2;

#[derive(Default)]
struct Args {
    directory: PathBuf,
    is_verifying: bool,
    export: Option<PathBuf>,
}

fn main() -> ExitCode {
    let args = match parse(std::env::args_os().skip(1).map(PathBuf::from)) {
        Ok(Some(args)) => args,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(message) => {
            eprintln!("{message}\n\n{HELP}");
            return ExitCode::from(FAILED);
        }
    };
    match run(&args, &mut io::stdout().lock()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(DAMAGED),
        // Whoever reads us has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", args.directory.display());
            ExitCode::from(FAILED)
        }
    }
}

fn parse(mut words: impl Iterator<Item = PathBuf>) -> Result<Option<Args>, String> {
    let mut args = Args::default();
    while let Some(word) = words.next() {
        match word.to_str() {
            Some("-h" | "--help") => return Ok(None),
            Some("--verify") => args.is_verifying = true,
            Some("--export") => args.export = Some(words.next().ok_or("--export: name a file")?),
            Some(option) if option.starts_with('-') => return Err(format!("{option}: there is no such option")),
            _ if args.directory.as_os_str().is_empty() => args.directory = word,
            _ => return Err(format!("{}: one directory at a time", word.display())),
        }
    }
    if args.directory.as_os_str().is_empty() {
        return Err("name the directory of a spool".to_owned());
    }
    Ok(Some(args))
}

/// Answers whether all is well.
fn run(args: &Args, out: &mut dyn Write) -> io::Result<bool> {
    let inspection = match &args.export {
        None => inspect(&DiskFs, &args.directory, args.is_verifying)?,
        Some(file) => {
            let mut file = BufWriter::new(File::create(file)?);
            let (inspection, records, items) = export(&DiskFs, &args.directory, &mut file)?;
            file.flush()?;
            writeln!(out, "exported {records} requests, {items} spans")?;
            inspection
        }
    };
    show(&inspection, out)?;
    let (.., damage) = inspection.total();
    let are_cursors_well = inspection
        .directories
        .iter()
        .all(|directory| directory.is_cursor_readable);
    Ok(damage.records == 0 && are_cursors_well)
}

fn show(inspection: &Inspection, out: &mut dyn Write) -> io::Result<()> {
    let now = SystemClock.system_time();
    if inspection.directories.is_empty() {
        writeln!(out, "nothing of a spool in there")?;
    }
    for directory in &inspection.directories {
        writeln!(out, "{}", directory.path.display())?;
        if !directory.is_cursor_readable {
            writeln!(out, "  the cursor is damaged: what was delivered counts as pending")?;
        }
        for segment in &directory.segments {
            show_segment(segment, now, out)?;
        }
        if directory.bad_files > 0 {
            let (files, bytes) = (directory.bad_files, directory.bad_bytes);
            writeln!(out, "  {files} files of damaged bytes are kept ({bytes} bytes)")?;
        }
    }
    let (records, items, bytes, damage) = inspection.total();
    writeln!(out, "pending: {records} requests, {items} spans in {bytes} bytes")?;
    if damage.records > 0 {
        let (records, items, bytes) = (damage.records, damage.items, damage.bytes);
        writeln!(out, "damaged: {records} requests, {items} spans in {bytes} bytes")?;
    }
    Ok(())
}

fn show_segment(segment: &InspectedSegment, now: SystemTime, out: &mut dyn Write) -> io::Result<()> {
    let name = segment.path.file_name().unwrap_or_default().to_string_lossy();
    write!(
        out,
        "  {name}  {:>10} bytes  {:>6} requests  {:>8} spans",
        segment.bytes, segment.pending_records, segment.pending_items
    )?;
    if let Some((oldest, newest)) = segment.written {
        write!(out, "  {} to {} old", age(oldest, now), age(newest, now))?;
    }
    match segment.state {
        SegmentState::Whole => {}
        SegmentState::DamagedHeader => write!(out, "  its header is damaged")?,
        SegmentState::Foreign => write!(out, "  not ours")?,
        SegmentState::Incomplete => write!(out, "  never written")?,
        SegmentState::Newer(version) => write!(out, "  of format version {version}")?,
        _ => write!(out, "  of an unknown kind")?,
    }
    if segment.damage.records > 0 {
        let damage = segment.damage;
        write!(out, "  damaged: {} requests, {} spans", damage.records, damage.items)?;
    }
    writeln!(out)
}

fn age(then: SystemTime, now: SystemTime) -> String {
    let age = now.duration_since(then).unwrap_or(Duration::ZERO).as_secs();
    match age {
        0..120 => format!("{age} s"),
        120..7200 => format!("{} min", age / 60),
        7200..172_800 => format!("{} h", age / 3600),
        _ => format!("{} d", age / 86_400),
    }
}
