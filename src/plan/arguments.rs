//! What is passed to step templates and depends on inputs or cells: checked as soon as these have values.

use super::builder::Builder;
use super::matrix::Spot;
use crate::checklist::uses::Argument;
use crate::diag::Diagnostic;
use crate::template::Expression;

impl Builder<'_, '_, '_> {
    /// Says which values do not fit their parameters, in any cell.
    pub(super) fn check_arguments(&mut self) {
        let (checklist, matrices) = (self.checklist, self.matrices);
        for argument in &checklist.arguments {
            let problem = matrices.everywhere().find_map(|spot| problem(argument, spot));
            if let Some(problem) = problem {
                let diagnostic = Diagnostic::error("bad-parameter", argument.span, problem);
                self.reading.say(diagnostic.also(argument.parameter.span, "the parameter"));
            }
        }
    }
}

/// Says why a value does not fit in one place; nothing where it is not known.
fn problem(argument: &Argument, spot: &Spot) -> Option<String> {
    let expression = Expression::parse(&argument.expression).ok()?;
    if !expression.references().iter().all(|reference| spot.scope.gives(reference)) {
        return None;
    }
    match expression.evaluate(&spot.scope) {
        Ok(value) => argument.parameter.accept(&value).err(),
        Err(error) => Some(format!("parameter {:?}: {error}", argument.parameter.name)),
    }
}
