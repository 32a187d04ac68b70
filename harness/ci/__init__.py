"""What a CI shows of a verdict: summary, annotations, badge, JUnit."""
