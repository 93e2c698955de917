"""Real packets: sent from inside one place, followed to the Pod that gets them, judged by what comes back."""
