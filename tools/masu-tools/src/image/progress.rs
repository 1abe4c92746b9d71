//! How a pull or a push is getting on: bars on a terminal, lines in a pipe, nothing when nobody wants to know.

use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use masu_image::Descriptor;
use masu_image::registry::Pushed;
use masu_image::{pull::Event, push, unpack};

use super::table;

/// One bar for each layer: how far, how fast, how long.
const BAR: &str = "{prefix} {msg:11} {bar:24} {bytes:>10} of {total_bytes:>10} {bytes_per_sec:>12} {eta:>4}";

/// Where the news goes: standard error, so that standard output has the result alone.
#[derive(Clone)]
pub(super) struct Progress(Arc<Shown>);

enum Shown {
    Nothing,
    Lines(Mutex<Vec<Descriptor>>),
    Bars { all: MultiProgress, layers: Mutex<Vec<ProgressBar>> },
}

impl Progress {
    /// As it fits where standard error goes.
    pub(super) fn new(quiet: bool) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self(Arc::new(match std::io::stderr().is_terminal() && !dumb {
            _ if quiet => Shown::Nothing,
            true => Shown::Bars { all: MultiProgress::new(), layers: Mutex::default() },
            false => Shown::Lines(Mutex::default()),
        }))
    }

    /// A remark, above the bars.
    pub(super) fn note(&self, text: &str) {
        match &*self.0 {
            Shown::Nothing => {}
            Shown::Lines(_) => eprintln!("{text}"),
            // A terminal that is gone is told nothing more.
            Shown::Bars { all, .. } => all.println(text).unwrap_or_default(),
        }
    }

    /// What happens.
    pub(super) fn tell(&self, event: &Event<'_>) {
        if let Event::Unpack(unpack::Event::Lost(what)) = event {
            return self.note(what);
        }
        match &*self.0 {
            Shown::Nothing => {}
            Shown::Lines(layers) => {
                tell_line(&mut layers.lock().unwrap_or_else(PoisonError::into_inner), event)
            }
            Shown::Bars { all, layers } => {
                tell_bar(all, &mut layers.lock().unwrap_or_else(PoisonError::into_inner), event);
            }
        }
    }

    /// What happens to an image on its way to a registry.
    pub(super) fn tell_push(&self, event: &push::Event<'_>) {
        match &*self.0 {
            Shown::Nothing => {}
            Shown::Lines(layers) => {
                let mut layers = layers.lock().unwrap_or_else(PoisonError::into_inner);
                match event {
                    push::Event::Layers(all) => *layers = all.to_vec(),
                    push::Event::Sent { .. } => {}
                    push::Event::Complete(number, pushed) => print_line(&layers, *number, word(*pushed)),
                }
            }
            Shown::Bars { all, layers } => {
                let mut bars = layers.lock().unwrap_or_else(PoisonError::into_inner);
                match event {
                    push::Event::Layers(layers) => add_bars(all, &mut bars, layers),
                    push::Event::Sent { layer, bytes } => move_bar(&bars, *layer, *bytes, "pushing"),
                    push::Event::Complete(layer, pushed) => {
                        if let Some(bar) = bars.get(*layer) {
                            bar.finish_with_message(word(*pushed));
                        }
                    }
                }
            }
        }
    }

    /// No more news: the bars are taken away.
    pub(super) fn end(&self) {
        if let Shown::Bars { all, layers } = &*self.0 {
            layers
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .iter()
                .for_each(ProgressBar::finish_and_clear);
            // As above.
            all.clear().unwrap_or_default();
        }
    }
}

fn tell_line(layers: &mut Vec<Descriptor>, event: &Event<'_>) {
    let (number, done) = match event {
        Event::Layers(all) => {
            *layers = all.to_vec();
            return;
        }
        Event::Complete(number) => (*number, "downloaded"),
        Event::Unpack(unpack::Event::Unpacked(number)) => (*number, "unpacked"),
        Event::Downloaded { .. } | Event::Unpack(_) => return,
    };
    print_line(layers, number, done);
}

/// What has happened to a layer.
fn print_line(layers: &[Descriptor], number: usize, done: &str) {
    if let Some(layer) = layers.get(number) {
        let (short, size, of) = (layer.digest.short(), table::size(layer.size), layers.len());
        eprintln!("layer {} of {of}, {short}, {size}: {done}", number + 1);
    }
}

/// The word for how a layer came to be in the registry.
fn word(pushed: Pushed) -> &'static str {
    match pushed {
        Pushed::Present => "there",
        Pushed::Mounted => "mounted",
        Pushed::Sent => "pushed",
    }
}

fn add_bars(all: &MultiProgress, bars: &mut Vec<ProgressBar>, layers: &[Descriptor]) {
    for layer in layers {
        let bar = ProgressBar::new(layer.size).with_prefix(layer.digest.short().to_owned());
        if let Ok(style) = ProgressStyle::with_template(BAR) {
            bar.set_style(style.progress_chars("━╸ "));
        }
        bars.push(all.add(bar.with_message("waiting")));
    }
}

fn move_bar(bars: &[ProgressBar], layer: usize, bytes: u64, doing: &'static str) {
    if let Some(bar) = bars.get(layer) {
        if bar.position() == 0 {
            // What an earlier attempt left is no speed of this one.
            bar.reset_eta();
            bar.set_message(doing);
        }
        bar.set_position(bytes);
    }
}

fn tell_bar(all: &MultiProgress, bars: &mut Vec<ProgressBar>, event: &Event<'_>) {
    match event {
        Event::Layers(layers) => add_bars(all, bars, layers),
        Event::Downloaded { layer, bytes } => move_bar(bars, *layer, *bytes, "downloading"),
        Event::Complete(layer) => {
            if let Some(bar) = bars.get(*layer) {
                bar.set_message("downloaded");
                bar.set_position(bar.length().unwrap_or_default());
            }
        }
        Event::Unpack(unpack::Event::Unpacking(layer)) => {
            if let Some(bar) = bars.get(*layer) {
                bar.set_message("unpacking");
            }
        }
        Event::Unpack(unpack::Event::Unpacked(layer)) => {
            if let Some(bar) = bars.get(*layer) {
                bar.finish_with_message("done");
            }
        }
        Event::Unpack(unpack::Event::Lost(_)) => {}
    }
}
