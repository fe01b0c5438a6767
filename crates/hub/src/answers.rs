//! What an answer of the Hub means, in words: what happened, and what to do.

use ureq::{Body, http::Response};

use crate::{
    client::{Client, header_of},
    error::{HubError, Result, brief},
    name::ModelName,
};

impl Client {
    /// The answer if it is a good one, or else what it says.
    pub(crate) fn accept(
        &self,
        answer: Response<Body>,
        name: &ModelName,
    ) -> Result<Response<Body>> {
        if answer.status().is_success() { Ok(answer) } else { Err(self.refusal(&answer, name)) }
    }

    /// What an answer says that is not a good one.
    pub(crate) fn refusal(&self, answer: &Response<Body>, name: &ModelName) -> HubError {
        let status = answer.status().as_u16();
        let code = header_of(answer, "x-error-code").unwrap_or_default();
        let (endpoint, id) = (self.endpoint(), name.id());
        let has_token = self.token().is_some();
        let token_of_owner = if has_token {
            "with the account that the access token is of"
        } else {
            "and set `HF_TOKEN` to an access token of the account that accepted them"
        };
        HubError::Refused(match (status, code) {
            (_, "GatedRepo") => format!(
                "its owner asks that terms are accepted before a download: accept them at {endpoint}/{id}, {token_of_owner}{}",
                self.told(answer)
            ),
            (_, "RevisionNotFound") => format!(
                "it has no revision `{}`: name a branch, a tag or a commit that {endpoint}/{id} lists",
                name.revision()
            ),
            (401, _) if has_token => format!(
                "the access token is not accepted{}: it is misspelt or no longer valid; make another at \
                 {endpoint}/settings/tokens and set `HF_TOKEN`",
                self.told(answer)
            ),
            (401 | 404, _) if !has_token => "there is no such model, or it is private: check the name, or set `HF_TOKEN` to an \
                 access token that may read it"
                .to_owned(),
            (403, _) => format!(
                "the access token does not allow it{}: use one that may read this model, or write to it for a push \
                 ({endpoint}/settings/tokens)",
                self.told(answer)
            ),
            (404, _) => "there is no such model, or the access token may not see it: check the name and the account that the \
                 token is of"
                .to_owned(),
            (429, _) => return HubError::Unreachable(self.too_many(answer)),
            _ => format!("the Hub answers `{status}`{}", self.told(answer)),
        })
    }

    /// What to say of too many requests.
    fn too_many(&self, answer: &Response<Body>) -> String {
        let after = header_of(answer, "retry-after").and_then(|after| after.parse::<u32>().ok());
        let when = after.map_or_else(
            || "in some minutes".to_owned(),
            |seconds| format!("in {seconds} seconds"),
        );
        let more = if self.token().is_some() {
            ""
        } else {
            "; with an access token (`HF_TOKEN`) more are allowed"
        };
        format!("there were too many requests from here: try again {when}{more}")
    }

    /// What the server itself says, in brackets. It may repeat a token.
    fn told(&self, answer: &Response<Body>) -> String {
        let Some(message) = header_of(answer, "x-error-message").filter(|text| !text.is_empty())
        else {
            return String::new();
        };
        let message =
            self.token().map_or_else(|| message.to_owned(), |token| token.removed_from(message));
        format!(" (`{}`)", brief(&message))
    }
}
