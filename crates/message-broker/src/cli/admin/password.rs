//! Passwords from wherever they are given: the command line, standard input, or typed unseen.

use std::io::BufRead;

use anyhow::{Context, Result, bail};
use clap::Args;
use mb_api::dto::SecretText;
use mb_core::Secret;

use super::values;

#[derive(Debug, Args)]
pub(crate) struct PasswordArgs {
    /// The password; - reads it from standard input [default: ask for it]
    #[arg(long, value_parser = values::secret)]
    password: Option<Secret<String>>,
}

impl PasswordArgs {
    /// The password.
    ///
    /// # Errors
    /// There is none, or what was typed twice differs.
    pub(super) fn read(self) -> Result<SecretText> {
        let password = match self.password {
            Some(given) if given.expose() == "-" => first_line(std::io::stdin().lock())?,
            Some(given) => given,
            None => ask()?,
        };
        Ok(SecretText::new(password.expose().clone()))
    }
}

fn first_line(mut input: impl BufRead) -> Result<Secret<String>> {
    let mut line = String::new();
    input.read_line(&mut line).context("read the password from standard input")?;
    let line = Secret::new(line);
    let password = line.expose().trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        bail!("standard input holds no password");
    }
    Ok(Secret::new(password.to_owned()))
}

fn ask() -> Result<Secret<String>> {
    let ask = |prompt: &str| {
        let typed = rpassword::prompt_password(prompt);
        typed.map(Secret::new).context("ask for the password: there is no terminal; give --password, or --password -")
    };
    let password = ask("Password: ")?;
    if ask("The same again: ")?.expose() != password.expose() {
        bail!("the two passwords differ");
    }
    Ok(password)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_input_gives_its_first_line() {
        let read = |text: &str| first_line(text.as_bytes()).map(|password| password.expose().clone());
        assert_eq!(read("Pass w0rd \r\nmore\n").expect("a line"), "Pass w0rd ");
        assert!(read("\n").is_err() && read("").is_err());
    }
}
