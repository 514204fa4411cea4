from django import forms
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe


class Name(forms.Form):
    name = forms.CharField(label="Your name", max_length=50)


@require_http_methods(["GET", "HEAD", "POST"])
def form(request: HttpRequest) -> HttpResponse:
    filled = Name(request.POST if request.method == "POST" else None)
    if filled.is_valid():
        return redirect(reverse("greeting", query={"name": filled.cleaned_data["name"]}))
    return render(request, "form.html", {"form": filled}, status=400 if filled.is_bound else 200)


@require_safe
def greeting(request: HttpRequest) -> HttpResponse:
    return render(request, "greeting.html", {"name": request.GET.get("name", "stranger")})


@require_safe
def greeting_json(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"greeting": f"Hello, {request.GET.get('name', 'stranger')}!"})
